//! Lines of text: which services of Linux their program and source stand for, and what lines of
//! known programs hold.
//!
//! A line of text is taken for one of Linux, unless it says otherwise itself: a line of Cisco's
//! or of a proxy. With a program or a facility it is also of the service `syslog`; the program,
//! the facility and the file that it was read from say which others.

use super::super::compile::RuleSet;
use super::super::logsource::{LogSource, View};
use super::{Content, NameId, Names, Row, range_in};
use crate::types::{Batch, Format, event};

/// Programs, and the services that their lines are of, as `category/product/service`.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("sshd sshd-session sshd-auth", &["/linux/sshd", "/linux/auth"]),
    ("sudo", &["/linux/sudo", "/linux/auth"]),
    (
        "su login systemd-logind polkitd pkexec passwd chpasswd chage useradd userdel usermod \
         groupadd groupdel groupmod gpasswd unix_chkpwd newgrp gdm-password] lightdm sssd \
         pam_unix pam_tally2 pam_faillock polkit-agent-helper-1 doas gdm sddm faillock",
        &["/linux/auth"],
    ),
    ("cron crond crontab anacron atd cronie", &["/linux/cron"]),
    ("clamd clamav clamscan freshclam clamav-milter clamonacc clamdscan", &["/linux/clamav"]),
    ("vsftpd", &["/linux/vsftpd"]),
    ("guacd guacamole", &["/linux/guacamole"]),
    ("auditd audispd audisp-syslog", &["/linux/auditd"]),
    ("apache apache2 httpd", &["//apache"]),
    ("nginx", &["//nginx"]),
    ("mysqld mariadbd mariadb mysql postgres postgresql mongod oracle", &["database//"]),
    ("rpd", &["/juniper/bgp"]),
];

/// Parts of the names of files, and the services that their lines are of.
const FILES: &[(&str, &str)] = &[
    ("auth.log", "/linux/auth"),
    ("secure", "/linux/auth"),
    ("cron", "/linux/cron"),
    ("syslog", "/linux/syslog"),
    ("messages", "/linux/syslog"),
    ("clamav", "/linux/clamav"),
    ("clamd", "/linux/clamav"),
    ("vsftpd", "/linux/vsftpd"),
    ("guacamole", "/linux/guacamole"),
    ("guacd", "/linux/guacamole"),
    ("apache", "//apache"),
    ("httpd", "//apache"),
    ("nginx", "//nginx"),
    ("mysql", "database//"),
    ("mariadb", "database//"),
    ("postgres", "database//"),
];

/// Facilities of Cisco's messages, and the services that they are of.
const CISCO: &[(&str, &str)] = &[
    ("BGP", "bgp"),
    ("LDP", "ldp"),
    ("TDP", "ldp"),
    ("AAA", "aaa"),
    ("AAAA", "aaa"),
    ("PARSER", "aaa"),
    ("SEC_LOGIN", "aaa"),
    ("SYS", "aaa"),
    ("HA_EM", "aaa"),
];

/// A log source that is written as `category/product/service`.
pub(super) fn source(written: &str) -> LogSource {
    let mut parts = written.split('/');
    let mut part = || parts.next().expect("three parts are written");
    LogSource::new(part(), part(), part())
}

/// What the lines of a program stand for, and how they are read.
pub(super) fn by_app(app: &str) -> (impl Iterator<Item = LogSource> + use<>, Lines) {
    let app = app.to_ascii_lowercase();
    let lines = match app.as_str() {
        "sudo" => Lines::Sudo,
        "cron" | "crond" | "cronie" | "anacron" => Lines::Cron,
        "kernel" | "ulogd" => Lines::Kernel,
        "dnsmasq" | "dnsmasq-dhcp" | "pihole" | "pihole-ftl" => Lines::Dnsmasq,
        "named" | "bind9" => Lines::Named,
        "unbound" => Lines::Unbound,
        "squid" | "(squid-1)" => Lines::Squid,
        "filterlog" => Lines::Filterlog,
        _ => Lines::Others,
    };
    let rows = PROGRAMS.iter().filter(move |(apps, _)| apps.split(' ').any(|one| one == app));
    (rows.flat_map(|(_, services)| services.iter().map(|service| source(service))), lines)
}

/// What the lines of a file stand for.
pub(super) fn by_source(name: &str) -> impl Iterator<Item = LogSource> + use<> {
    let name = name.to_ascii_lowercase();
    let file = name.rsplit(['/', '\\']).next().unwrap_or("").to_owned();
    let known = FILES.iter().filter(move |(part, _)| {
        let of_folder = matches!(*part, "apache" | "httpd" | "nginx" | "clamav" | "guacamole")
            && name.split(['/', '\\']).any(|folder| folder.starts_with(part));
        file.starts_with(part) || of_folder
    });
    known.map(|(_, service)| source(service))
}

/// Whether a file is a log of Squid's.
pub(super) fn is_squid(name: &str) -> bool {
    name.split(['/', '\\']).any(|part| part.starts_with("squid"))
}

/// All log sources that a line can have.
pub(super) fn log_sources() -> impl Iterator<Item = LogSource> {
    let programs = PROGRAMS.iter().flat_map(|(_, services)| services.iter());
    let files = FILES.iter().map(|(_, service)| service);
    let others = [
        "/linux/",
        "/linux/syslog",
        "/linux/auditd",
        "/cisco/syslog",
        "/huawei/bgp",
        "webserver//",
        "proxy//",
        "dns//",
        "firewall//",
    ];
    let cisco = CISCO.iter().map(|(_, service)| LogSource::new("", "cisco", service));
    programs.chain(files).copied().chain(others).map(source).chain(cisco)
}

/// How the lines of a program are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    Others,
    Sudo,
    Cron,
    Kernel,
    Dnsmasq,
    Named,
    Unbound,
    Squid,
    /// Of pf, in pfSense and OPNsense.
    Filterlog,
}

/// A value that a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This part of the line.
    Part(usize, usize),
    /// What it means.
    Fixed(&'static str),
}

/// What was found in a line, by the name that Sigma has for it.
type Pieces = Vec<(&'static str, Piece)>;

/// Views and names, in the numbers of a rule set.
pub(super) struct Tables {
    pub(super) linux: View,
    pub(super) syslog: View,
    pub(super) audit: View,
    auth: View,
    cron: View,
    webserver: View,
    proxy: View,
    dns: View,
    firewall: View,
    huawei: View,
    cisco: Vec<(&'static str, View)>,
    cisco_any: View,
    c_uri: NameId,
    c_uri_stem: NameId,
    cs_uri_stem: NameId,
    c_uri_query: NameId,
    c_uri_extension: NameId,
    cs_host: NameId,
    cs_method: NameId,
}

impl Tables {
    pub(super) fn new(names: &mut Names) -> Self {
        let rules: &RuleSet = &names.rules;
        let view = |written| rules.view(&source(written));
        let (linux, syslog, audit) =
            (view("/linux/"), view("/linux/syslog"), view("/linux/auditd"));
        let (auth, cron) = (view("/linux/auth"), view("/linux/cron"));
        let (webserver, proxy) = (view("webserver//"), view("proxy//"));
        let (dns, firewall) = (view("dns//"), view("firewall//"));
        let (huawei, cisco_any) = (view("/huawei/bgp"), view("/cisco/syslog"));
        let cisco = CISCO.iter().map(|(facility, service)| {
            (*facility, rules.view(&LogSource::new("", "cisco", service)))
        });
        let cisco = cisco.collect();
        Tables {
            linux,
            syslog,
            audit,
            auth,
            cron,
            webserver,
            proxy,
            dns,
            firewall,
            huawei,
            cisco,
            cisco_any,
            c_uri: names.number("c-uri"),
            c_uri_stem: names.number("c-uri-stem"),
            cs_uri_stem: names.number("cs-uri-stem"),
            c_uri_query: names.number("c-uri-query"),
            c_uri_extension: names.number("c-uri-extension"),
            cs_host: names.number("cs-host"),
            cs_method: names.number("cs-method"),
        }
    }

    /// What a facility of syslog stands for.
    pub(super) fn by_facility(&self, facility: Option<u8>) -> Option<View> {
        match facility? {
            4 | 10 => Some(self.auth),
            9 => Some(self.cron),
            _ => None,
        }
    }

    /// Reads a line, and says whether it is none of Linux.
    pub(super) fn read(
        &self,
        lines: Lines,
        (raw, message): (&str, &str),
        format: Format,
        pieces: &mut Pieces,
        row: &mut Row,
    ) -> bool {
        let mut out = Out { message, pieces };
        match lines {
            Lines::Sudo => out.sudo(),
            Lines::Dnsmasq if out.dnsmasq().is_some() => row.see(self.dns),
            Lines::Unbound if out.unbound().is_some() => row.see(self.dns),
            Lines::Named if out.named().is_some() => row.see(self.dns),
            Lines::Others if message.starts_with("client ") && out.named().is_some() => {
                row.see(self.dns);
            }
            Lines::Squid if out.squid().is_some() => {
                row.see(self.proxy);
                return true;
            }
            Lines::Filterlog if out.filterlog().is_some() => {
                row.see(self.firewall);
                return true;
            }
            Lines::Others if out.w3c().is_some() => {
                row.see(self.webserver);
                return true;
            }
            Lines::Others if out.pan_os().is_some() => {
                row.see(self.firewall);
                return true;
            }
            Lines::Kernel if out.netfilter().is_some() => row.see(self.firewall),
            Lines::Others if format == Format::KeyValue && out.netfilter().is_some() => {
                row.see(self.firewall);
            }
            // What a device begins with may be no part of its message.
            Lines::Others => return self.network_device(raw, &mut out, row),
            _ => {}
        }
        false
    }

    /// The views of a line of a network device, which names itself by a `%`.
    fn network_device(&self, line: &str, out: &mut Out<'_, '_>, row: &mut Row) -> bool {
        let mut from = 0;
        while let Some(at) = memchr::memchr(b'%', &line.as_bytes()[from..]) {
            let rest = &line[from + at..];
            if rest.starts_with("%%01BGP/") {
                row.see(self.huawei);
                return true;
            }
            if let Some(facility) = cisco_facility(&rest[1..]) {
                row.see(self.cisco_any);
                if matches!(facility, "ASA" | "FTD" | "PIX") && out.adaptive_security().is_some() {
                    row.see(self.firewall);
                }
                for (known, view) in &self.cisco {
                    if *known == facility {
                        row.see(*view);
                    }
                }
                return true;
            }
            from += at + 1;
        }
        false
    }

    /// The view of an access log line: what asks for a whole URL asks a proxy.
    pub(super) fn uri(&self, row: &Row, batch: &Batch) -> View {
        let uri = row.text(batch, self.c_uri);
        let whole = uri.contains("://") && !uri.starts_with('/');
        match whole || row.text(batch, self.cs_method) == "CONNECT" {
            true => self.proxy,
            false => self.webserver,
        }
    }

    /// Adds the parts of `c-uri` that the record does not name itself.
    pub(super) fn url(&self, row: &mut Row, batch: &Batch) {
        let cell = row.cells_of(self.c_uri).next().copied();
        let Some(super::Cell { content: Content::Found(event::Value::Text(uri)), .. }) = cell
        else {
            return;
        };
        let whole = batch.text(uri);
        let (rest, host) = match whole.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                (&rest[end..], &rest[..end])
            }
            _ if whole.starts_with('/') => (whole, ""),
            _ => {
                let end = whole.find(['/', '?', '#']).unwrap_or(whole.len());
                (&whole[end..], &whole[..end])
            }
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((host, _)) => host,
            None => host.split_once(':').map_or(host, |(host, _)| host),
        };
        let (stem, query) = rest.split_once('?').unwrap_or((rest, ""));
        let file = stem.rsplit('/').next().unwrap_or("");
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        for (name, part) in [
            (self.cs_host, host),
            (self.c_uri_stem, stem),
            (self.cs_uri_stem, stem),
            (self.c_uri_query, query),
            (self.c_uri_extension, extension),
        ] {
            if !part.is_empty() && !row.has(name) {
                let range = range_in(whole, part);
                let part = uri.part(range.start, range.end);
                row.push(name, Content::Found(event::Value::Text(part)));
            }
        }
    }
}

/// `SYS` of `SYS-5-CONFIG_I:`
fn cisco_facility(text: &str) -> Option<&str> {
    const BYTES_MAX: usize = 64;
    let head = &text[..text.floor_char_boundary(BYTES_MAX)];
    let (mnemonics, _) = head.split_once(':')?;
    let mut parts = mnemonics.split('-');
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let facility = parts.next().filter(|facility| is_word(facility))?;
    let (mut severity, mut last) = (parts.next()?, parts.next()?);
    if !matches!(severity.as_bytes(), [b'0'..=b'7']) {
        // A sub-facility: `CDP-4-…` and `DUAL-SP-5-…` alike.
        (severity, last) = (last, parts.next()?);
    }
    (matches!(severity.as_bytes(), [b'0'..=b'7']) && is_word(last)).then_some(facility)
}

/// The address and the port of `outside:192.0.2.7/443`, `inside/10.0.0.5(22)`, `192.0.2.7/443`.
fn endpoint(word: &str) -> Option<(&str, &str)> {
    let word = word.trim_start_matches('(');
    let from_address = match word.split_once([':', '/']) {
        // Not the colons of an IPv6 address.
        Some((zone, rest)) if zone.starts_with(|c: char| c.is_ascii_alphabetic()) => rest,
        _ => word,
    };
    let end = from_address.find(['/', '(', ')']).unwrap_or(from_address.len());
    let (address, port) = from_address.split_at(end);
    address.parse::<std::net::IpAddr>().ok()?;
    let port = port.trim_start_matches(['/', '(']);
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    Some((address, &port[..digits]))
}

/// Where the command stands in `(root) CMD (run-parts /etc/cron.hourly)`.
pub(super) fn cron_command(message: &str) -> Option<(usize, usize)> {
    let (_, command) = message.split_once(") CMD (")?;
    let command = command.trim_end();
    let command = command.strip_suffix(')').unwrap_or(command).trim();
    let range = range_in(message, command);
    (!range.is_empty()).then_some((range.start, range.end))
}

struct Out<'m, 'p> {
    message: &'m str,
    pieces: &'p mut Pieces,
}

impl<'m> Out<'m, '_> {
    fn put(&mut self, name: &'static str, part: &'m str) {
        if !matches!(part, "" | "-") {
            let range = range_in(self.message, part);
            self.pieces.push((name, Piece::Part(range.start, range.end)));
        }
    }

    /// `alice : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/bin/ls ; -l`
    fn sudo(&mut self) {
        const NAMES: [&str; 7] = ["TTY", "PWD", "USER", "GROUP", "ENV", "TSID", "COMMAND"];
        let Some((user, mut rest)) = self.message.split_once(" : ") else { return };
        self.put("SUDO_USER", user.trim());
        while !rest.is_empty() {
            let piece = rest.trim_start();
            let named = NAMES.into_iter().find_map(|name| {
                let value = piece.strip_prefix(name)?.strip_prefix('=')?;
                Some((name, value))
            });
            match named {
                // The command is what is left, whatever is in it.
                Some(("COMMAND", value)) => return self.put("COMMAND", value),
                Some((name, value)) => {
                    let (value, after) = value.split_once(" ; ").unwrap_or((value, ""));
                    self.put(name, value);
                    rest = after;
                }
                None => match piece.split_once(" ; ") {
                    Some((_, after)) => rest = after,
                    None => return,
                },
            }
        }
    }

    /// `query[A] example.org from 10.0.0.1`, `reply example.org is 192.0.2.1`
    fn dnsmasq(&mut self) -> Option<()> {
        let message = self.message;
        if let Some(at) = message.find("query[") {
            let (kind, rest) = message[at + "query[".len()..].split_once("] ")?;
            let (name, from) = rest.split_once(" from ")?;
            self.put("query", name);
            self.put("record_type", kind);
            self.put("src_ip", from.trim_end());
            return Some(());
        }
        let (before, answer) = message.split_once(" is ")?;
        let name = before.rsplit(' ').next()?;
        let said = before[..before.len() - name.len()].trim_end().rsplit(' ').next()?;
        if !matches!(said, "reply" | "cached" | "cached-stale" | "config") {
            return None;
        }
        self.put("query", name);
        self.put("answer", answer.trim_end());
        let kind = match answer.trim_end() {
            "<CNAME>" => "CNAME",
            answer if answer.parse::<std::net::Ipv4Addr>().is_ok() => "A",
            answer if answer.parse::<std::net::Ipv6Addr>().is_ok() => "AAAA",
            _ => return Some(()),
        };
        self.pieces.push(("record_type", Piece::Fixed(kind)));
        Some(())
    }

    /// `client @0x7f 10.0.0.1#53124 (example.org): query: example.org IN A +E(0)K (10.0.0.2)`
    fn named(&mut self) -> Option<()> {
        let (client, query) = self.message.split_once(" query: ")?;
        let mut words = query.split(' ');
        let (name, class, kind) = (words.next()?, words.next()?, words.next()?);
        if !matches!(class, "IN" | "CH" | "HS" | "ANY") {
            return None;
        }
        self.put("query", name.trim_end_matches('.'));
        self.put("record_type", kind);
        let from = client.split(' ').find_map(|word| word.split_once('#'));
        if let Some((from, _)) = from {
            self.put("src_ip", from);
        }
        Some(())
    }

    /// `[912:0] info: 10.0.0.1 example.org. A IN`
    fn unbound(&mut self) -> Option<()> {
        let (_, said) = self.message.split_once("info: ")?;
        let mut words = said.split(' ');
        let (from, name, kind) = (words.next()?, words.next()?, words.next()?);
        if words.next()? != "IN" || from.parse::<std::net::IpAddr>().is_err() {
            return None;
        }
        self.put("query", name.trim_end_matches('.'));
        self.put("record_type", kind);
        self.put("src_ip", from);
        Some(())
    }

    /// `[UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=1 DPT=22`
    fn netfilter(&mut self) -> Option<()> {
        const NAMES: [(&str, &str); 7] = [
            ("SRC", "src_ip"),
            ("DST", "dst_ip"),
            ("SPT", "src_port"),
            ("DPT", "dst_port"),
            ("PROTO", "protocol"),
            ("IN", "in_interface"),
            ("OUT", "out_interface"),
        ];
        let message = self.message;
        let start = message.find("IN=")?;
        message.find(" SRC=")?;
        message.find(" DST=")?;
        for word in message[start..].split(' ') {
            let Some((key, value)) = word.split_once('=') else { continue };
            if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == key) {
                self.put(name, value);
            }
        }
        let label = &message[..start];
        let says = |words: &[&str]| {
            let begins = |at: usize, word: &&str| {
                label.as_bytes()[at..]
                    .get(..word.len())
                    .is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
            };
            (0..label.len()).any(|at| words.iter().any(|word| begins(at, word)))
        };
        if says(&["block", "drop", "reject", "deny", "denied", "blk"]) {
            self.decided(true);
        } else if says(&["allow", "accept", "permit", "pass"]) {
            self.decided(false);
        }
        Some(())
    }

    /// What a firewall did: `action` and `blocked`.
    fn decided(&mut self, blocked: bool) {
        let (action, blocked) = if blocked { ("block", "true") } else { ("accept", "false") };
        self.pieces.push(("action", Piece::Fixed(action)));
        self.pieces.push(("blocked", Piece::Fixed(blocked)));
    }

    /// Cisco's ASA and its kin: `Deny tcp src outside:192.0.2.7/5 dst inside:10.0.0.5/22`, `Built
    /// outbound TCP connection 7 for outside:192.0.2.7/443 (…) to inside:10.0.0.5/5 (…)`,
    /// `access-list x permitted udp inside/10.0.0.5(5) -> outside/192.0.2.7(53)`.
    fn adaptive_security(&mut self) -> Option<()> {
        let message = self.message;
        let says = |word: &str| message.contains(word);
        let blocked = match () {
            () if says("Deny ") || says(" denied") || says("denied by") => true,
            () if says("Built ") || says(" permitted ") || says("est-allowed") => false,
            () => return None,
        };
        let mut ends = message.split([' ', ',']).filter_map(endpoint);
        let (one, mut other) = (ends.next()?, ends.next()?);
        // The address that is shown to the other side stands behind its own.
        if says("Built ") {
            other = message.split_once(" to ")?.1.split(' ').find_map(endpoint)?;
        }
        let outbound = says("Built outbound ");
        let (from, to) = if outbound { (other, one) } else { (one, other) };
        for (name, part) in
            [("src_ip", from.0), ("src_port", from.1), ("dst_ip", to.0), ("dst_port", to.1)]
        {
            self.put(name, part);
        }
        let protocol = message.split(' ').find(|word| {
            ["tcp", "udp", "icmp"].iter().any(|known| word.eq_ignore_ascii_case(known))
        });
        self.put("protocol", protocol.unwrap_or(""));
        self.decided(blocked);
        Some(())
    }

    /// pf's `5,,,1000000103,igb0,match,block,in,4,0x0,,64,0,0,DF,6,tcp,60,192.0.2.7,10.0.0.5,5,22`
    /// (pfSense documentation, "Raw Filter Log Format").
    fn filterlog(&mut self) -> Option<()> {
        let values: Vec<&str> = self.message.split(',').collect();
        let action = *values.get(6)?;
        let (protocol, source) = match *values.get(8)? {
            "4" => (16, 18),
            "6" => (12, 15),
            _ => return None,
        };
        let (from, to) = (*values.get(source)?, *values.get(source + 1)?);
        from.parse::<std::net::IpAddr>().ok()?;
        self.put("src_ip", from);
        self.put("dst_ip", to);
        self.put("protocol", values[protocol]);
        if let (true, Some([from, to])) =
            (matches!(values[protocol], "tcp" | "udp"), values.get(source + 2..source + 4))
        {
            self.put("src_port", from);
            self.put("dst_port", to);
        }
        self.put("in_interface", values[4]);
        self.decided(matches!(action, "block" | "reject"));
        Some(())
    }

    /// The traffic log of PAN-OS, whose values are named by their places (PAN-OS documentation,
    /// "Traffic Log Fields").
    fn pan_os(&mut self) -> Option<()> {
        memchr::memmem::find(self.message.as_bytes(), b",TRAFFIC,")?;
        let values: Vec<&str> = self.message.split(',').take(32).collect();
        if values.len() <= 30 || values[3] != "TRAFFIC" {
            return None;
        }
        for (name, place) in [
            ("src_ip", 7),
            ("dst_ip", 8),
            ("in_interface", 18),
            ("out_interface", 19),
            ("src_port", 24),
            ("dst_port", 25),
            ("protocol", 29),
        ] {
            self.put(name, values[place]);
        }
        self.decided(values[30] != "allow");
        Some(())
    }

    /// What IIS writes: `[W3SVC1 [WEB]] 10.0.0.1 GET /a.aspx cmd=whoami 80 - 192.0.2.7 curl/8.0 -
    /// 200 0 0 15`, in the order of its default fields.
    fn w3c(&mut self) -> Option<()> {
        let message = self.message;
        if !matches!(message.as_bytes().first(), Some(b'0'..=b'9' | b'W' | b':' | b'a'..=b'f')) {
            return None;
        }
        let mut words = message.split(' ').filter(|word| !word.is_empty());
        let mut server = words.next()?;
        if server.starts_with("W3SVC") {
            server = words.next()?;
            if server.parse::<std::net::IpAddr>().is_err() {
                server = words.next()?;
            }
        }
        server.parse::<std::net::IpAddr>().ok()?;
        let (method, stem, query) = (words.next()?, words.next()?, words.next()?);
        let (port, user, client) = (words.next()?, words.next()?, words.next()?);
        client.parse::<std::net::IpAddr>().ok()?;
        port.parse::<u16>().ok()?;
        if !stem.starts_with('/') || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let rest: Vec<&str> = words.take(8).collect();
        let is_status = |word: &&str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
        let status = rest.iter().position(is_status);
        for (name, part) in [
            ("s-ip", server),
            ("cs-method", method),
            ("cs-uri-stem", stem),
            ("c-uri-stem", stem),
            ("cs-uri-query", query),
            ("c-uri-query", query),
            ("s-port", port),
            ("cs-username", user),
            ("c-ip", client),
            ("src_ip", client),
            ("cs-user-agent", if status > Some(0) { rest[0] } else { "" }),
            ("c-useragent", if status > Some(0) { rest[0] } else { "" }),
            ("cs-referer", if status > Some(1) { rest[1] } else { "" }),
            ("sc-status", status.map_or("", |at| rest[at])),
        ] {
            self.put(name, part);
        }
        Some(())
    }

    /// `1066036250.603 310 10.0.0.1 TCP_MISS/200 5000 GET http://x/ ann DIRECT/192.0.2.1 text/html`
    fn squid(&mut self) -> Option<()> {
        let mut words = self.message.split(' ').filter(|word| !word.is_empty());
        let (time, elapsed, client) = (words.next()?, words.next()?, words.next()?);
        let (result, bytes, method) = (words.next()?, words.next()?, words.next()?);
        let (uri, user) = (words.next()?, words.next()?);
        let (_, status) = result.split_once('/')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !(number(time) && number(elapsed) && number(status) && number(bytes)) {
            return None;
        }
        self.put("c-ip", client);
        self.put("src_ip", client);
        self.put("sc-status", status);
        self.put("sc-bytes", bytes);
        self.put("cs-method", method);
        self.put("c-uri", uri);
        self.put("cs-uri", uri);
        self.put("cs-username", user);
        if let Some((_, peer)) = words.next().and_then(|peer| peer.split_once('/')) {
            self.put("dst_ip", peer);
        }
        if let Some(kind) = words.next() {
            self.put("rs-content-type", kind);
        }
        Some(())
    }
}
