//! The words that say what the next one is, and the tables in which they are found.
//!
//! A table maps ASCII words, whatever their case, to one byte. It is built by the compiler; a
//! word that is not in it costs one multiplication and one byte read.

/// What a word of a text says about its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Word {
    /// Nothing.
    Other,
    /// `user`: a key, or the word before a name.
    User,
    /// A key whose value is an account: `acct`, `TargetUserName`.
    Account,
    /// `account`, `logon`: a key with `=` only, or the first half of `Account Name:`.
    AccountOf,
    /// `host`, `hostname`: a key, or the word before a name.
    Host,
    /// A key whose value is a machine: `WorkstationName`.
    Machine,
    /// `rhost`, `client`: a key whose value is the machine or address that something came from.
    Peer,
    /// `workstation`, `computer`: a key, or the first half of `Workstation Name:`.
    MachineOf,
    /// `name`, as in `Account Name:`.
    Name,
    /// Before the address that something came from: `src`.
    Source,
    /// Before the address that it went to: `dst`.
    Target,
    From,
    To,
    For,
    By,
    On,
    In,
    Of,
    As,
    /// `invalid`, `illegal`: what follows `user` is a name, whatever it looks like.
    Invalid,
    /// `authenticating`, as in `by authenticating user`.
    Authenticating,
    /// `Failed`, `Accepted`.
    Outcome,
    /// A way to authenticate.
    Method,
    Authentication,
    Failure,
    Attempts,
    Exceeded,
    Changed,
    Su,
    Session,
    Logged,
    Login,
    Root,
    Anonymous,
    Ftp,
    Ok,
    /// `add`: what follows in quotes may be who is in a group.
    Member,
    /// What cron did for the account in the parentheses before.
    Cron,
    /// A key of a sudo record.
    Sudo,
    /// A key whose value is a program's name: `comm`.
    Program,
    Process,
    Pid,
    /// A key whose value is a URL or a part of one.
    Url,
    /// The next dotted number is a version.
    Version,
    /// An HTTP method.
    Http,
    /// The next dotted name is a name in the DNS.
    Dns,
    /// A word for nobody.
    Nobody,
    /// A word that follows `user` or `host` and is no name.
    Stop,
}

impl Word {
    /// Whether an account or a machine may be called so, next to a word that announces a name.
    pub(super) fn may_name(self) -> bool {
        matches!(
            self,
            Word::Other
                | Word::Root
                | Word::Anonymous
                | Word::Ftp
                | Word::Su
                | Word::Dns
                | Word::Cron
                | Word::Ok
        )
    }

    /// What part an address plays that stands right behind this word.
    pub(super) fn role(self) -> super::Role {
        match self {
            Word::Source | Word::From | Word::By | Word::Peer => super::Role::Source,
            Word::Target | Word::To => super::Role::Target,
            _ => super::Role::None,
        }
    }
}

const WORDS: &[(Word, &str)] = &[
    (Word::User, "user"),
    (
        Word::Account,
        "username user_name usr usrname acct logname ruser suser duser accountname \
         account_name targetusername subjectusername sasl_username dbuser db_user \
         remote_user remoteuser src_user dst_user srcuser dstuser loginname login_name \
         samaccountname user-name principal",
    ),
    (Word::AccountOf, "account logon"),
    (Word::Host, "host hostname"),
    (
        Word::Machine,
        "host_name host-name server servername server_name computername computer_name \
         workstationname machine machinename nodename dvchost dhost dsthost dst_host \
         dest_host desthost devname fqdn",
    ),
    (
        Word::Peer,
        "rhost client clientname client_name shost srchost src_host remote_host remotehost",
    ),
    (Word::MachineOf, "workstation computer"),
    (Word::Name, "name"),
    (
        Word::Source,
        "src srcip src_ip source sourceip source_ip sourceaddress saddr c-ip ipaddress rip \
         remote remote_addr remote_ip remoteip clientip client_ip peer peer_addr orig_h \
         callerip srcaddr source_address raddr attacker",
    ),
    (
        Word::Target,
        "dst dstip dst_ip dest destip dest_ip destination destinationip destination_ip \
         destaddress daddr dstaddr lip laddr resp_h s-ip upstream target toward towards",
    ),
    (Word::From, "from"),
    (Word::To, "to"),
    (Word::For, "for"),
    (Word::By, "by"),
    (Word::On, "on onto"),
    (Word::In, "in into"),
    (Word::Of, "of"),
    (Word::As, "as"),
    (Word::Invalid, "invalid illegal nonexistent non-existent nonexisting"),
    (Word::Authenticating, "authenticating disconnecting authenticate"),
    (Word::Outcome, "failed accepted postponed partial rejected denied"),
    (
        Word::Method,
        "password publickey pubkey none hostbased keyboard-interactive \
         keyboard-interactive/pam gssapi-with-mic gssapi-keyex gssapi kerberos certificate \
         challenge-response",
    ),
    (Word::Authentication, "authentication auth"),
    (Word::Failure, "failure failures"),
    (Word::Attempts, "attempts attempt"),
    (Word::Exceeded, "exceeded"),
    (Word::Changed, "changed expired expires"),
    (Word::Su, "su"),
    (Word::Session, "session sessions"),
    (Word::Logged, "logged logging logs"),
    (Word::Login, "login logins"),
    (Word::Root, "root"),
    (Word::Member, "add"),
    (Word::Anonymous, "anonymous"),
    (Word::Ftp, "ftp"),
    (Word::Ok, "ok fail"),
    (Word::Cron, "cmd cmdout cmdend reload list replace begin end"),
    (Word::Sudo, "tty pwd command"),
    (
        Word::Program,
        "comm process_name processname process-name procname proc program exe sproc dproc",
    ),
    (Word::Process, "process"),
    (Word::Pid, "pid processid process_id"),
    (
        Word::Url,
        "uri url request request_uri requesturi endpoint route referer referrer location \
         href cs-uri-stem uri_path urlpath url_path",
    ),
    (Word::Version, "version ver release build firmware rv revision v versions"),
    (Word::Http, "get post put delete head options patch connect trace propfind"),
    (
        Word::Dns,
        "query qname domain lookup resolve resolved resolving dns cname nameserver mx ptr \
         site sni rrname zone",
    ),
    (Word::Nobody, "unknown null nil undefined n/a unset"),
    (
        Word::Stop,
        "a about accounts action adapter added agent all already an and any application are \
         at authority be been bridge buffer bus but cache can cannot child class config \
         configuration connected connection control controller could count created \
         credential credentials data database defined deleted did directory disabled \
         disconnected does doesn't down enabled entry error event exists field file group \
         groups had has have id identifier identity info information input instance \
         interaction interface is key keys level limit local locked lost manager memory \
         message mode model module more namespace names new no not object option or output \
         page permission permissions policy port preferences privilege privileges profile \
         profiles properties property quota record removed requested requests right rights \
         role roles runtime schema script security service services setting settings slice \
         some space state status still stopped store switch system table task template \
         terminated that the then there this thread time timed timeout token tools type \
         unit unreachable up update used using value variable verification via was when \
         where which will with without logout http https uid gid",
    ),
];

/// How many slots the table of words has; a quarter of them are in use.
const WORD_SLOTS: usize = 2_048;
static TABLE: Table<WORD_SLOTS> = {
    let mut table = Table::new();
    let mut group = 0;
    while group < WORDS.len() {
        table = table.with(WORDS[group].1, WORDS[group].0 as u8);
        group += 1;
    }
    table
};

/// For each first letter, the lengths of the words that begin with it, as bits: turns most words
/// away before the table is asked.
static LENGTHS: [u32; 32] = {
    let mut lengths = [0; 32];
    let mut group = 0;
    while group < WORDS.len() {
        let bytes = WORDS[group].1.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let end = word_end(bytes, start);
            assert!(end - start < 32 && bytes[start].is_ascii_lowercase());
            lengths[(bytes[start] & 31) as usize] |= 1 << (end - start);
            start = end + 1;
        }
        group += 1;
    }
    lengths
};

/// What a word says. `bytes[start..end]` is the word; what lies behind it is only read to be
/// masked out.
#[inline]
pub(super) fn word(bytes: &[u8], start: usize, end: usize) -> Word {
    const MEANINGS: [Word; Word::Stop as usize + 1] = {
        let mut all = [Word::Other; Word::Stop as usize + 1];
        let mut group = 0;
        while group < WORDS.len() {
            all[WORDS[group].0 as usize] = WORDS[group].0;
            group += 1;
        }
        all
    };
    let len = end - start;
    if len == 0 || len > 31 || LENGTHS[usize::from(bytes[start] & 31)] >> len & 1 == 0 {
        return Word::Other;
    }
    match TABLE.get(bytes, start, end) {
        Some(value) => MEANINGS[usize::from(value)],
        None => Word::Other,
    }
}

/// A set of ASCII words with a byte for each, fixed when the program is compiled.
///
/// Open addressing. Words are compared by length, first eight and last eight bytes, which is all
/// of a word of up to 16 bytes; of longer ones the words given must differ in these.
pub(super) struct Table<const N: usize> {
    tags: [u8; N],
    keys: [(u64, u64); N],
    lens: [u8; N],
    values: [u8; N],
}

impl<const N: usize> Table<N> {
    pub(super) const fn new() -> Self {
        assert!(N.is_power_of_two());
        Table { tags: [0; N], keys: [(0, 0); N], lens: [0; N], values: [0; N] }
    }

    /// This table with the words of `words`, which single spaces separate. Not compiled if one of
    /// them is in it already.
    pub(super) const fn with(mut self, words: &str, value: u8) -> Self {
        let bytes = words.as_bytes();
        let mut start = 0;
        while start < bytes.len() {
            let end = word_end(bytes, start);
            let (head, tail) = ends(bytes, start, end);
            let (mut slot, tag) = place::<N>(head, tail, end - start);
            while self.tags[slot] != 0 {
                let same = self.keys[slot].0 == head && self.keys[slot].1 == tail;
                assert!(!(same && self.lens[slot] as usize == end - start), "a word stands twice");
                slot = (slot + 1) % N;
            }
            self.tags[slot] = tag;
            self.keys[slot] = (head, tail);
            self.lens[slot] = (end - start) as u8;
            self.values[slot] = value;
            start = end + 1;
        }
        self
    }

    /// The byte of the word `bytes[start..end]`.
    #[inline]
    pub(super) fn get(&self, bytes: &[u8], start: usize, end: usize) -> Option<u8> {
        let len = end - start;
        let (head, tail) = match bytes.get(start..start + 8) {
            Some(eight) => {
                let head = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
                match len {
                    0 => return None,
                    1..=8 => {
                        let head = (head | FOLD) & (u64::MAX >> (64 - 8 * len));
                        (head, head)
                    }
                    _ => {
                        let tail = &bytes[end - 8..end];
                        let tail = u64::from_le_bytes(tail.try_into().expect("eight bytes"));
                        (head | FOLD, tail | FOLD)
                    }
                }
            }
            None => ends(bytes, start, end),
        };
        let (mut slot, tag) = place::<N>(head, tail, len);
        while self.tags[slot] != 0 {
            if self.tags[slot] == tag
                && self.keys[slot] == (head, tail)
                && usize::from(self.lens[slot]) == len
            {
                return Some(self.values[slot]);
            }
            slot = (slot + 1) % N;
        }
        None
    }
}

/// Makes upper case lower, eight letters at once. It also maps `_` and `@` elsewhere, but no two
/// bytes of a run that differ by more than case are made equal.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// The end of the word at `start`: a space, or the end of all.
const fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < bytes.len() && bytes[end] != b' ' {
        end += 1;
    }
    end
}

/// The first and the last eight bytes of the word `bytes[start..end]`, folded; a shorter word is
/// filled up with zeros.
const fn ends(bytes: &[u8], start: usize, end: usize) -> (u64, u64) {
    let width = if end - start < 8 { end - start } else { 8 };
    let (mut head, mut tail) = (0, 0);
    let mut index = 0;
    while index < width {
        head |= ((bytes[start + index] | 0x20) as u64) << (8 * index);
        tail |= ((bytes[end - width + index] | 0x20) as u64) << (8 * index);
        index += 1;
    }
    (head, tail)
}

/// Where a word's search begins, and its tag, which is never 0.
#[inline]
const fn place<const N: usize>(head: u64, tail: u64, len: usize) -> (usize, u8) {
    let hash = (head ^ tail.rotate_left(29) ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 40) as usize % N, (hash >> 32) as u8 | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case_and_at_any_distance_from_the_end() {
        for (meaning, words) in WORDS {
            for text in words.split(' ') {
                assert!(text.len() <= 16 || *meaning == Word::Method);
                for spelled in [text.to_string(), text.to_uppercase()] {
                    for tail in ["", "=", "=value and more"] {
                        let line = format!("x {spelled}{tail}");
                        let found = word(line.as_bytes(), 2, 2 + spelled.len());
                        assert_eq!(found, *meaning, "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_word_is_not_found() {
        for text in ["", "x", "userx", "xuser", "usernames", "keyboard-interactivX/pam"] {
            assert_eq!(word(text.as_bytes(), 0, text.len()), Word::Other, "{text}");
        }
    }
}
