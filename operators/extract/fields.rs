//! What fields say, by their names.
//!
//! A name counts without its case and its punctuation, so that `src_ip`, `srcIp` and `src.ip` are
//! one; and a dotted name counts by its longest known tail: of `winlog.event_data.TargetUserName`
//! the last part, of `x.source.ip` the last two. Names come from the Elastic Common Schema, the
//! OpenTelemetry conventions, Windows and Sysmon event data, Linux audit, CEF, Zeek, Suricata, W3C
//! access logs, journald and the large clouds.

use super::Role;
use crate::types::hash::Map;

/// What the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Something else, although a shorter tail of its name says otherwise.
    Nothing,
    /// An address, or else nothing.
    Ip,
    /// An address or a machine's name.
    Machine,
    /// An address, a domain, or a machine's name without dots.
    Domain,
    /// An account.
    User(Part),
    /// An account, if it is not a number.
    Uid(Part),
    /// An account, if it is the address of one: `ann@corp.example`.
    Upn(Part),
    /// The domain of the account of that part.
    UserDomain(Part),
    /// A program's name, or its path, of which the last component is taken.
    Program(Part),
    /// A program's path: a file, and a program by its last component.
    Image(Part),
    /// The process id of the program of that part.
    Pid(Part),
    /// A file, if it is an absolute path.
    File,
    /// A file, if it is an absolute path that cannot be one on a web server.
    Path,
    /// A URL.
    Url,
    /// Text in which addresses, domains, files and programs are to be found.
    Command,
    /// Text in which everything is to be found.
    Message,
}

/// Which of several accounts or processes of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Only,
    Subject,
    Target,
    Source,
    Parent,
    New,
}

/// How many [`Part`]s there are.
pub(super) const PARTS: usize = 6;

/// What a field of a certain name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) what: What,
    pub(super) role: Role,
    /// Only in a Linux audit record.
    pub(super) audit: bool,
}

/// How far a row's names reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Also as the tail of a dotted name.
    Tail,
    /// Only as the whole name: too common a word to mean anything deeper down.
    Whole,
    /// Only as the whole name, and in a Linux audit record.
    Audit,
}

use Part::{New, Only, Parent, Source as Src, Subject, Target as Tgt};
use Reach::{Audit, Tail, Whole};
use Role::{Actor, None as No, Source, Target};
use What::{
    Command, Domain, File, Image, Ip, Machine, Message, Nothing, Path, Pid, Program, Uid, Upn, Url,
    User, UserDomain,
};

/// The names, in lower case; dots mark where a tail may begin.
const RULES: &[(What, Role, Reach, &str)] = &[
    (
        Ip,
        Source,
        Tail,
        "src_ip source.ip source.nat.ip source_ip srcaddr saddr ip_address cip client.ip \
         client_ip clientip clientaddr client_addr client.socket.address remote_addr \
         remote_ip remoteaddr remote.ip net.peer.ip net.sock.peer.addr http.client_ip \
         id.orig_h orig_h caller_ip caller_ip_address source_ip_address peer.address \
         peer_ip peer.ip source_ips real_ip x_real_ip rip attacker_ip src_addr \
         network.client.ip source_network_address actor_ip",
    ),
    (
        Ip,
        Target,
        Tail,
        "dst_ip dest_ip destination.ip destination_ip dstaddr daddr dest_address s-ip \
         server.ip server_ip local_ip local.ip net.host.ip network.local.address id.resp_h \
         resp_h destination.nat.ip lip dst_addr target_ip target.ip upstream_addr",
    ),
    (
        Ip,
        No,
        Tail,
        "host.ip related.ip ipaddr ip_addr device_ip node_ip host_ip assigned_ip \
         answers.data dns.resolved_ip dvc",
    ),
    (Ip, No, Whole, "ip address"),
    (Ip, Source, Whole, "src source client peer remote addr from"),
    (Ip, Target, Whole, "dst dest destination to"),
    (
        Machine,
        No,
        Tail,
        "host.name host.hostname hostname computer computer_name machine_name \
         observer.hostname agent.hostname beat.hostname node_name nodename \
         kubernetes.node.name kubernetes.host k8s.node.name dvchost device_name fqdn \
         host_name server_host_name net.host.name machine",
    ),
    (Machine, No, Whole, "host node"),
    (
        Machine,
        Source,
        Tail,
        "rhost workstation_name workstation source.host.name source_hostname src_host \
         src_hostname shost client.host.name client_name client_hostname remote_host \
         net.peer.name source_host client_machine calling_station_id source_host_name \
         src_name client_host",
    ),
    (
        Machine,
        Target,
        Tail,
        "destination_hostname destination.host.name dest_host dest_hostname dhost dst_host \
         dst_hostname target_server_name destination_host destination_host_name target_host \
         target_hostname remote_hostname",
    ),
    (
        Domain,
        No,
        Tail,
        "query_name dns.question.name dns.query.name dns.rrname rrname qname dns_query \
         url.domain url.host http.host http.hostname cs-host server_name tls.sni \
         tls.client.server_name sni r-dns destination.domain source.domain server.domain \
         client.domain destination_dns_domain source_dns_domain dns.answers.name \
         domain_name request_host virtual_host vhost http_host",
    ),
    (Domain, No, Whole, "query"),
    (Domain, Source, Tail, "client.address source.address network.peer.address remote.address"),
    (Domain, Target, Tail, "server.address destination.address"),
    (
        User(Only),
        No,
        Tail,
        "username user.name user_name remote_user cs-username cs_username auth_user \
         login_name db_user dbuser samaccountname sam_account_name process.owner \
         process.user.name principal_name user.username user_principal_name sasl_username \
         logname account_name",
    ),
    (User(Only), No, Whole, "user account login usr principal"),
    (User(Only), No, Tail, "event_data.user event_data.data.user"),
    (Uid(Only), No, Tail, "enduser.id"),
    (Upn(Only), No, Tail, "user_id"),
    (
        User(Subject),
        Actor,
        Tail,
        "subject_user_name suser source.user.name client.user.name src_user principal_email \
         user_identity.user_name actor.alternate_id actor.login caller_user_name \
         source_user src_user_name ruser initiated_by.user.user_principal_name srcuser",
    ),
    (User(Subject), Actor, Whole, "actor"),
    (Upn(Subject), Actor, Whole, "caller"),
    (Upn(Tgt), Target, Tail, "target.alternate_id"),
    (
        User(Tgt),
        Target,
        Tail,
        "target_user_name duser destination.user.name user.target.name dst_user \
         user.effective.name user.changes.name target_user dstuser new_target_user_name \
         target_account dest_user",
    ),
    (User(Tgt), Target, Audit, "acct"),
    (Uid(Subject), Actor, Audit, "auid"),
    (Uid(Only), No, Audit, "uid euid suid"),
    (User(Parent), No, Tail, "parent_user process.parent.user.name"),
    (UserDomain(Only), No, Tail, "user.domain account_domain user_domain"),
    (
        UserDomain(Subject),
        No,
        Tail,
        "subject_domain_name source.user.domain sntdom client.user.domain",
    ),
    (
        UserDomain(Tgt),
        No,
        Tail,
        "target_domain_name destination.user.domain dntdom user.target.domain",
    ),
    (
        Program(Only),
        No,
        Tail,
        "comm process.name process_name procname proc_name syslog_identifier \
         process.executable.name",
    ),
    (Program(Only), No, Whole, "process program proc"),
    (Program(Parent), No, Tail, "process.parent.name parent_process"),
    (Program(Src), Source, Tail, "sproc"),
    (Program(Tgt), Target, Tail, "dproc"),
    (
        Image(Only),
        No,
        Tail,
        "image exe process.executable process.executable.path image_path application \
         process_path",
    ),
    (
        Image(Parent),
        No,
        Tail,
        "parent_image parent_process_name process.parent.executable parent_process_path \
         creator_process_name",
    ),
    (Image(Src), Source, Tail, "source_image"),
    (Image(Tgt), Target, Tail, "target_image"),
    (Image(New), No, Tail, "new_process_name"),
    (Image(Src), Source, Tail, "caller_process_name"),
    (Pid(Only), No, Tail, "pid process_id process.pid process_pid syslog_pid"),
    (
        Pid(Parent),
        No,
        Tail,
        "parent_process_id process.parent.pid process.parent_pid ppid parent_pid \
         creator_process_id process.ppid",
    ),
    (Pid(Src), No, Tail, "source_process_id spid caller_process_id"),
    (Pid(Tgt), No, Tail, "target_process_id dpid"),
    (Pid(New), No, Tail, "new_process_id"),
    // The process that writes the event log, not the one that the event is about.
    (
        Nothing,
        No,
        Tail,
        "execution.process_id execution.attributes.process_id execution_process_id \
         winlog.process.pid log.file.path",
    ),
    (
        File,
        No,
        Tail,
        "target_filename file.path file_path filepath file.target_path image_loaded \
         working_directory current_directory process.working_directory cwd file.full_path \
         filename file_name file.name fname object_name share_local_path source_filename \
         target_path old_file_path new_file_path destination_path source_path",
    ),
    (Path, No, Whole, "path file"),
    (File, No, Audit, "name"),
    (
        Url,
        No,
        Tail,
        "url.full url.original request_url http.url referer referrer http.request.referrer \
         c-uri http.http_refer cs_referer cs-referer uri url",
    ),
    (Url, No, Whole, "request"),
    (
        Command,
        No,
        Tail,
        "command_line commandline parent_command_line process.command_line cmdline \
         process.parent.command_line process_command_line proctitle command cmd \
         script_block_text service_file_name x_forwarded_for query_results \
         http.request.header.x_forwarded_for task_content possible_cause process.args",
    ),
    (Command, No, Audit, "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12"),
    (Message, No, Whole, "message msg log short_message full_message body text reason"),
];

/// How many names are remembered; when there are more, all are forgotten.
pub(super) const NAMES_MAX: usize = 4_096;
/// Names longer than this mean nothing.
const NAME_BYTES_MAX: usize = 128;
/// How many parts of a dotted name are looked at, from its end.
const TAIL_MAX: usize = 4;

/// Finds what a field's name means.
#[derive(Debug)]
pub(super) struct Fields {
    /// By plain name; whether it also counts as the tail of a longer one.
    rules: Map<Box<str>, (Rule, bool)>,
    /// What was found for names in full. A pure function of the name, so forgetting is harmless.
    known: Map<Box<str>, Option<Rule>>,
}

impl Fields {
    pub(super) fn new() -> Self {
        let mut rules = Map::default();
        for (what, role, reach, names) in RULES {
            let rule = Rule { what: *what, role: *role, audit: *reach == Audit };
            for name in names.split(' ') {
                let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                rules.insert(plain.into_boxed_str(), (rule, *reach == Tail));
            }
        }
        Fields { rules, known: Map::default() }
    }

    /// What a field of that name means, if it means an entity.
    pub(super) fn rule(&mut self, name: &str) -> Option<Rule> {
        if let Some(rule) = self.known.get(name) {
            return *rule;
        }
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let rule = self.find(name).filter(|rule| rule.what != Nothing);
        if self.known.len() >= NAMES_MAX {
            self.known.clear();
        }
        self.known.insert(name.into(), rule);
        rule
    }

    /// The rule of the longest known tail.
    fn find(&self, name: &str) -> Option<Rule> {
        // The name of a log, as Windows and clouds spell it; `logname` is who is logged in.
        if name.rsplit('.').next().is_some_and(|last| matches!(last, "logName" | "LogName")) {
            return None;
        }
        let mut plain = [0u8; NAME_BYTES_MAX];
        // Where the last parts start, the last one first.
        let mut starts = [0; TAIL_MAX];
        let (mut len, mut dots) = (0, 0);
        for byte in name.bytes() {
            match byte {
                b'.' => {
                    starts.rotate_right(1);
                    starts[0] = len;
                    dots += 1;
                }
                _ if byte.is_ascii_alphanumeric() => {
                    plain[len] = byte.to_ascii_lowercase();
                    len += 1;
                }
                _ => {}
            }
        }
        let plain = std::str::from_utf8(&plain[..len]).expect("ASCII letters and digits");
        if let Some((rule, _)) = self.rules.get(plain) {
            return Some(*rule);
        }
        for start in starts[..TAIL_MAX.min(dots)].iter().rev() {
            if let Some((rule, true)) = self.rules.get(&plain[*start..]) {
                return Some(*rule);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_by_its_longest_known_tail() {
        let mut fields = Fields::new();
        for (name, what) in [
            ("src_ip", Some(Ip)),
            ("srcIp", Some(Ip)),
            ("Source.IP", Some(Ip)),
            ("deep.down.source.ip", Some(Ip)),
            ("winlog.event_data.TargetUserName", Some(User(Tgt))),
            ("Event.EventData.SubjectUserName", Some(User(Subject))),
            ("Event.EventData.ProcessId", Some(Pid(Only))),
            ("Event.System.Execution.#attributes.ProcessID", None),
            ("Execution_ProcessID", None),
            ("winlog.process.pid", None),
            ("process.pid", Some(Pid(Only))),
            ("process.parent.name", Some(Program(Parent))),
            ("process.name", Some(Program(Only))),
            ("id.orig_h", Some(Ip)),
            ("http.request.path", None),
            ("path", Some(Path)),
            ("a.query", None),
            ("ip", Some(Ip)),
            ("a.ip", None),
            ("logname", Some(User(Only))),
            ("logName", None),
            ("Event.EventData.User", Some(User(Only))),
            ("winlog.event_data.User", Some(User(Only))),
            ("UserId", Some(Upn(Only))),
            ("...", None),
            ("", None),
        ] {
            for _ in 0..2 {
                assert_eq!(fields.rule(name).map(|rule| rule.what), what, "{name}");
            }
        }
        assert_eq!(fields.rule(&"a.".repeat(500)), None);
        assert_eq!(fields.rule(&format!("{}user.name", "a.".repeat(40))).unwrap().what, User(Only));
    }

    #[test]
    fn no_name_means_two_things() {
        let mut seen = std::collections::BTreeMap::new();
        for (what, role, reach, names) in RULES {
            for name in names.split(' ') {
                let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                assert!(plain.len() <= NAME_BYTES_MAX);
                assert!(name.chars().all(|letter| !letter.is_ascii_uppercase()), "{name}");
                let meaning = (*what, *role, *reach == Tail, *reach == Audit);
                let before = seen.insert(plain, meaning);
                assert!(before.is_none_or(|before| before == meaning), "{name}");
            }
        }
    }

    #[test]
    fn no_more_names_are_remembered_than_the_limit_says() {
        let mut fields = Fields::new();
        for number in 0..3 * NAMES_MAX {
            assert_eq!(fields.rule(&format!("field{number}")), None);
            assert!(fields.known.len() <= NAMES_MAX);
        }
        assert_eq!(fields.rule("user.name").unwrap().what, User(Only));
    }
}
