//! What ATT&CK calls what a detector found.
//!
//! A detector says that something is odd, not what it is for. The words of its template often do:
//! the first pattern found in it gives the tags. Where no pattern is, there are none.

use regex::{Regex, RegexBuilder};

use crate::types::Detector;

/// Tags for templates with a pattern in them.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Whose findings it is for; `None` is for all of them.
    pub detector: Option<Detector>,
    /// What is looked for in the template; as [`pattern`] makes it.
    pub pattern: Regex,
    /// Tactics, as `credential-access`.
    pub tactics: Vec<String>,
    /// Techniques, as `T1110.001`.
    pub techniques: Vec<String>,
}

/// A pattern, upper and lower case alike, of bounded size.
///
/// # Errors
/// If it is no regular expression, or compiles to more than a megabyte.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build()
}

/// Tags by template. See the [module](self).
#[derive(Clone, Debug)]
pub struct Attack {
    mappings: Vec<Mapping>,
}

/// What is built in: whose findings, the pattern, tactics, techniques. What is worse comes first.
type BuiltIn = (Option<Detector>, &'static str, &'static [&'static str], &'static [&'static str]);

const BUILT_IN: [BuiltIn; 12] = [
    (
        None,
        r"too many (auth|log[io]n|failed)|maximum auth\w* attempts|brute.?force|lock(ed)?.?out|account .*locked",
        &["credential-access"],
        &["T1110"],
    ),
    (
        None,
        r"(auth\w*|password|log[io]n|logon|credential)\S* .*\b(fail|invalid|incorrect|rejected)|fail\w* .*\b(auth|password|log[io]n|logon|publickey)|(invalid|illegal|unknown) user",
        &["credential-access", "initial-access"],
        &["T1110", "T1078"],
    ),
    (
        None,
        r"\b(insmod|modprobe|kmod)\b|out-of-tree module|module verification failed|loading .*module",
        &["persistence", "privilege-escalation"],
        &["T1547.006"],
    ),
    (
        None,
        r"log (file )?(was )?cleared|history -c|rsyslogd?\b.*(exiting|stopp)|(audit|syslog)\w* .*(exiting|disabled|stopp)|setenforce|ufw disable",
        &["defense-impairment"],
        &["T1685"],
    ),
    (
        None,
        r"\bnew (user|group):|\b(useradd|adduser)\b|account was created",
        &["persistence"],
        &["T1136"],
    ),
    (None, r"crontab\b|\bscheduled task\b", &["persistence", "execution"], &["T1053"]),
    (
        None,
        r"\bsudo\b|\bsu(\[|:|\b.*session)|; USER=root ; COMMAND=|\bnot in sudoers|for user root\b.* by ",
        &["privilege-escalation"],
        &["T1548"],
    ),
    (
        None,
        r"segfault|core dumped|general protection|buffer overflow|stack smashing|use.after.free",
        &["execution"],
        &["T1203"],
    ),
    (
        Some(Detector::UnusualContent),
        r#""?(GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH) .*HTTP"#,
        &["initial-access"],
        &["T1190"],
    ),
    (
        Some(Detector::UnusualContent),
        r"\bquery(\[|:| )|\bdns\b|\bNXDOMAIN\b",
        &["command-and-control", "exfiltration"],
        &["T1071.004", "T1048"],
    ),
    (
        Some(Detector::RarePeer),
        r"accepted|session opened|new session|logged? ?[io]n\b|logon|successful",
        &["initial-access", "lateral-movement"],
        &["T1078"],
    ),
    (
        Some(Detector::RareForEntity),
        r"accepted (password|publickey|keyboard)|session opened for user",
        &["initial-access"],
        &["T1078"],
    ),
];

impl Attack {
    /// Tags by some mappings, the first that fits.
    #[must_use]
    pub fn new(mappings: impl IntoIterator<Item = Mapping>) -> Self {
        Attack { mappings: mappings.into_iter().collect() }
    }

    /// The mappings that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        Attack::new(BUILT_IN.iter().map(|(detector, text, tactics, techniques)| Mapping {
            detector: *detector,
            pattern: pattern(text).expect("a test compiles them all"),
            tactics: owned(tactics),
            techniques: owned(techniques),
        }))
    }

    /// The tactics and techniques of what a detector finds in events of a template, if any.
    #[must_use]
    pub fn tags(&self, detector: Detector, template: &str) -> Option<(&[String], &[String])> {
        let fits = |mapping: &&Mapping| {
            mapping.detector.is_none_or(|only| only == detector)
                && mapping.pattern.is_match(template)
        };
        let found = self.mappings.iter().find(fits)?;
        Some((&found.tactics, &found.techniques))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first technique of what a detector finds in a template, by what is built in.
    fn technique(detector: Detector, template: &str) -> Option<String> {
        Attack::built_in().tags(detector, template).map(|(_, techniques)| techniques[0].clone())
    }

    #[test]
    fn templates_are_called_by_what_they_say() {
        let rare = Detector::RareTemplate;
        for (template, wanted) in [
            ("Failed password for invalid user <*> from <*> port <*> ssh2", Some("T1110")),
            ("error: maximum authentication attempts exceeded for <*> from <*>", Some("T1110")),
            (
                "Disconnecting <*> port <*> Too many authentication failures [preauth]",
                Some("T1110"),
            ),
            ("pam_unix(sshd:auth): authentication failure; logname= uid=<*>", Some("T1110")),
            ("svc : TTY=<*> ; PWD=<*> ; USER=root ; COMMAND=<*>", Some("T1548")),
            ("<*> loading out-of-tree module taints kernel.", Some("T1547.006")),
            ("[origin software=\"rsyslogd\" swVersion=<*>] exiting on signal <*>", Some("T1685")),
            ("new user: name=<*> UID=<*> GID=<*> home=<*> shell=<*>", Some("T1136")),
            ("<*> segfault at <*> ip <*> sp <*> error <*>", Some("T1203")),
            ("Connection closed by <*> port <*> [preauth]", None),
            ("Started <*>", None),
            ("request handled", None),
        ] {
            assert_eq!(technique(rare, template).as_deref(), wanted, "{template}");
        }
    }

    #[test]
    fn some_words_mean_something_only_to_one_detector() {
        let asked = "query[TXT] <*> from <*>";
        assert_eq!(technique(Detector::UnusualContent, asked).as_deref(), Some("T1071.004"));
        assert_eq!(technique(Detector::RareTemplate, asked), None);
        let login = "Accepted publickey for <*> from <*> port <*>";
        assert_eq!(technique(Detector::RarePeer, login).as_deref(), Some("T1078"));
        assert_eq!(technique(Detector::UnusualSequence, login), None);
    }

    #[test]
    fn the_first_mapping_that_fits_counts_and_case_does_not() {
        let mapping = |text, technique: &str| Mapping {
            detector: None,
            pattern: pattern(text).unwrap(),
            tactics: vec!["impact".to_owned()],
            techniques: vec![technique.to_owned()],
        };
        let attack = Attack::new([mapping("backup", "T1490"), mapping("backup deleted", "T1485")]);
        let (tactics, techniques) = attack.tags(Detector::RarePeer, "BACKUP deleted").unwrap();
        assert_eq!((tactics, techniques), (&["impact".into()][..], &["T1490".into()][..]));
        assert_eq!(attack.tags(Detector::RarePeer, "nothing"), None);
        assert!(pattern("(").is_err());
    }
}
