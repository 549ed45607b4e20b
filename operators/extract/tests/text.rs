//! Text alone.

use super::*;

#[test]
fn accounts_are_found_where_words_announce_them() {
    for (line, wanted) in [
        ("Failed password for invalid user user from 10.0.0.1 port 1 ssh2", "user user"),
        ("Failed password for user from 10.0.0.1 port 1 ssh2", "user user"),
        ("Failed keyboard-interactive/pam for root from 10.0.0.1 port 22", "user root"),
        ("Invalid user 0 from 10.0.0.1", "user 0"),
        ("Connection closed by authenticating user bob 10.0.0.1 port 9 [preauth]", "user bob"),
        ("Disconnected from user bob 10.0.0.1 port 9", "user bob"),
        ("User bob from 10.0.0.1 not allowed because not listed in AllowUsers", "user bob"),
        ("maximum authentication attempts exceeded for bob from 10.0.0.1 port 1", "user bob"),
        ("error: PAM: Authentication failure for bob from 10.0.0.1", "user bob"),
        ("Starting session: shell on pts/0 for bob from 10.0.0.1 port 22 id 0", "user bob"),
        ("New session 12 of user bob.", "user bob"),
        ("password changed for bob", "user bob"),
        ("Login failed for user 'sa'. Reason: bad [CLIENT: 10.0.0.1]", "user sa"),
        ("password authentication failed for user \"bob\"", "user bob"),
        ("requirement \"uid >= 1000\" not met by user \"bob\"", "user bob"),
        ("FAILED LOGIN 1 FROM 10.0.0.1 FOR bob, Authentication failure", "user bob"),
        ("ROOT LOGIN ON tty2", "user ROOT"),
        ("ANONYMOUS FTP LOGIN FROM 10.0.0.1,  (anonymous)", "user ANONYMOUS"),
        ("[bob] OK LOGIN: Client \"10.0.0.1\"", "user bob"),
        ("imap-login: Login: user=<bob>, method=PLAIN, rip=10.0.0.1", "user bob"),
        ("Account Name:\t\tbob\r\n\tAccount Domain:\t\tCORP", "user bob"),
        ("{\\\"user\\\":\\\"bob\\\"}", "user bob"),
        ("logon by CORP\\bob at 9", "user CORP\\bob"),
        ("started as NT AUTHORITY\\SYSTEM now", "user NT AUTHORITY\\SYSTEM"),
        ("login=bob ok", "user bob"),
        (
            "new user: name=bob, UID=9, GID=9, home=/home/bob, shell=/bin/sh, from=/dev/pts/0",
            "user bob",
        ),
        ("add 'bob' to group 'sudo'", "user bob"),
        ("delete 'bob' from shadow group 'sudo'", "user bob"),
    ] {
        let users: Vec<String> =
            mentions(line).into_iter().filter(|entry| entry.starts_with("user ")).collect();
        assert_eq!(users, [wanted], "{line}");
    }
}

#[test]
fn a_stranger_chooses_his_name_and_not_his_address() {
    for (line, name) in [
        (
            "Failed password for invalid user {} from 203.0.113.5 port 4000 ssh2",
            "root from 10.9.0.7",
        ),
        (
            "Failed password for invalid user {} from 203.0.113.5 port 4000 ssh2",
            "x from 10.9.9.7 port 22",
        ),
        (
            "Failed none for invalid user {} from 2001:db8::5 port 4000 ssh2",
            "a for bob from 10.9.9.7",
        ),
        ("Invalid user {} from 203.0.113.5 port 4000", "root from 10.9.0.7"),
        ("Invalid user {} from 203.0.113.5", "root from 10.9.0.7"),
        ("Invalid user {} from 203.0.113.5 port 4000", "host=10.9.0.7 'user eve"),
        (
            "Connection closed by invalid user {} 203.0.113.5 port 4000 [preauth]",
            "x 10.9.0.7 port 22",
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user {} from 203.0.113.5 \
             port 4000 ssh2 [preauth]",
            "x from 10.9.0.7 port 22 ssh2",
        ),
    ] {
        let address = if line.contains("2001") { "2001:db8::5" } else { "203.0.113.5" };
        let line = line.replace("{}", name);
        let mut found = Found::default();
        scan_of("sshd", &line, &mut found);
        let mut said: Vec<String> =
            found.mentions().iter().map(|one| line[one.span()].to_owned()).collect();
        said.sort();
        let mut wanted = [address.to_owned(), name.to_owned()];
        wanted.sort();
        assert_eq!(said, wanted, "{line}");
    }
}

#[test]
fn words_beside_user_and_host_are_no_names() {
    for line in [
        "Closed due to user request. [preauth]",
        "disconnected by user",
        "User unknown timed out after 900 seconds",
        "Couldn't authenticate user",
        "invalid user  from port 22",
        "user is not in the sudoers file",
        "the user profile service has started",
        "Started User Manager for UID 1000.",
        "user=- host=- rhost= user=(null) host=unknown",
        "session opened for user by (uid=0)",
        "host is unreachable; host name lookup failed; No route to host: connect",
        "logged on to the system",
        "TargetUserName=S-1-5-18",
        "Writing value HKLM\\Software\\Foo and C:",
        "process exited with pid 0 and pid x",
        "waiting for user input",
        "check pass; user unknown",
        "add 'bob' to the list",
    ] {
        assert_eq!(mentions(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn su_and_sudo_say_who_did_it_and_to_whom() {
    for (line, actor, target) in [
        ("  bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id", "bob", "root"),
        ("bob : command not allowed ; TTY=pts/0 ; USER=root ; COMMAND=list", "bob", "root"),
        ("FAILED SU (to root) bob on pts/1", "bob", "root"),
        ("session opened for user root(uid=0) by bob(uid=1000)", "bob", "root"),
        ("Successful su for root by bob", "bob", "root"),
    ] {
        let mut found = Found::default();
        scan(line, &mut found);
        let role = |role| found.mentions().iter().find(|m| m.role == role).map(|m| &line[m.span()]);
        assert_eq!(role(Role::Actor), Some(actor), "{line}");
        assert_eq!(role(Role::Target), Some(target), "{line}");
        assert!(found.mentions().is_sorted_by_key(|mention| mention.start), "{line}");
    }
}

#[test]
fn an_address_knows_its_side() {
    let mut found = Found::default();
    for (line, role) in [
        ("connection from 10.0.0.1", Role::Source),
        ("rhost=10.0.0.1", Role::Source),
        ("src: /10.0.0.1:80", Role::Source),
        ("sent to 10.0.0.1", Role::Target),
        ("\"dst_ip\": \"10.0.0.1\"", Role::Target),
        ("dest:10.0.0.1", Role::Target),
        ("saw 10.0.0.1", Role::None),
    ] {
        scan(line, &mut found);
        let got: Vec<_> = found.mentions().iter().map(|m| (m.kind, m.role)).collect();
        assert_eq!(got, [(Kind::Ip, role)], "{line}");
    }
}

#[test]
fn lines_of_real_programs_give_all_their_entities() {
    for (line, wanted) in [
        (
            "2026/11/22 13:38:00 [error] 31#31: *7 open() \"/srv/www/a.html\" failed (2: No such file), \
             client: 10.0.0.7, server: example.com, request: \"GET /a.html HTTP/1.1\", \
             upstream: \"http://10.0.0.9:8080/a.html\", host: \"www.example.com\"",
            vec![
                "file /srv/www/a.html",
                "ip 10.0.0.7",
                "host example.com",
                "ip 10.0.0.9",
                "host www.example.com",
            ],
        ),
        (
            "type=SYSCALL msg=audit(1.1:2): pid=4242 auid=1000 comm=\"cat\" exe=\"/usr/bin/cat\" key=\"x\"",
            vec!["process 4242", "process cat", "file /usr/bin/cat"],
        ),
        ("Out of memory: Killed process 1234 (java) total-vm:1kB", vec!["process java:1234"]),
        (
            "postfix/smtpd[99]: connect from mail.example.com[10.1.1.1]",
            vec!["process postfix/smtpd:99", "host mail.example.com", "ip 10.1.1.1"],
        ),
        (
            "client 10.0.0.1#53214 (www.example.org): query: www.example.org IN A + (10.0.0.2)",
            vec!["ip 10.0.0.1", "domain www.example.org", "ip 10.0.0.2"],
        ),
        (
            "copied 'C:\\Program Files (x86)\\App One\\a.dll' to \\\\FS01\\share\\x.txt",
            vec![
                "file C:\\Program Files (x86)\\App One\\a.dll",
                "file \\\\FS01\\share\\x.txt",
                "host FS01",
            ],
        ),
        (
            "\"C:\\Windows\\System32\\cmd.exe /c whoami\" started by powershell.exe",
            vec!["file C:\\Windows\\System32\\cmd.exe", "process powershell.exe"],
        ),
        (
            "Access denied for user 'root'@'db.example.com' (using password: YES)",
            vec!["user root", "host db.example.com"],
        ),
        (
            "(/etc/hosts) [/var/log/syslog.1] </dev/null> `/opt/x/y`: PATH=/usr/bin:/bin, /a/b.c:12: x",
            vec![
                "file /etc/hosts",
                "file /var/log/syslog.1",
                "file /dev/null",
                "file /opt/x/y",
                "file /usr/bin",
                "file /bin",
                "file /a/b.c",
            ],
        ),
        (
            "10.0.0.1:80->10.0.0.2:443 10.0.0.3-10.0.0.9",
            vec!["ip 10.0.0.1", "ip 10.0.0.2", "ip 10.0.0.3", "ip 10.0.0.9"],
        ),
        ("Call msra-sa-41/10.190.173.170:9030 failed", vec!["ip 10.190.173.170"]),
        (
            "curl https://bob:secret@evil.info/x?user=alice&f=/etc/passwd -o/tmp/x -O /tmp/y",
            vec!["domain evil.info", "file /tmp/x", "file /tmp/y"],
        ),
        (
            "mounting hdfs://namenode:9000/user/x file:///etc/fstab http://[::1]:80/",
            vec!["host namenode", "file /etc/fstab", "ip ::1"],
        ),
        ("ssh root@10.0.0.5 git@github.com:a/b.git", vec!["ip 10.0.0.5", "domain github.com"]),
        ("GET /etc/passwd HTTP/1.0 and \"POST /admin/x.php\" and uri=/a/b path=/v1/x?y", vec![]),
        ("version 1.2.3.4 rv:1.9.1.2 Chrome/90.0.30.93 lib.so README.md nginx.service", vec![]),
        ("at java.io.File.open(File.java:12) org.apache.hadoop.net.X foo::bar a::b ::", vec![]),
        (
            "evil.info:443 logger.info x.py www.evil.info",
            vec!["domain evil.info", "domain www.evil.info"],
        ),
        (
            "[::] [dead::beef] fe80::1%eth0/64 2001:db8::/32 addr:2001:db8::9/64",
            vec!["ip ::", "ip dead::beef", "ip fe80::1", "ip 2001:db8::", "ip 2001:db8::9"],
        ),
    ] {
        assert_eq!(mentions(line), wanted, "{line}");
    }
}

/// A generator for tests: the numbers are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % bound
    }
}

const SEEDS: [&str; 16] = [
    "Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
    "sudo:  alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id",
    "su: FAILED SU (to root) bob on pts/1",
    "crond(pam_unix)[2915]: session closed for user root by bob(uid=0)",
    "(root) CMD (run-parts /etc/cron.hourly)",
    "{\"user\":\"svc-backup\",\"src_ip\":\"10.0.0.9\",\"host\":\"db01.corp.example\"}",
    "User CORP\\jsmith logged on to WKS-042 from fe80::a00:27ff:fe4e:66a1%eth0",
    "[bob] OK LOGIN ANONYMOUS FTP LOGIN ROOT LOGIN NT AUTHORITY\\SYSTEM",
    "opened \"C:\\Program Files (x86)\\a b.exe\" \\\\srv\\share by pid 77",
    "QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181 BP-1347-10.190.173.170-144:blk_10",
    "GET http://u:p@evil.example.co.uk:80/a/b.php?x=1 HTTP/1.1 file:///etc/x",
    "mail to bob.smith+x@mail.example.com queued, key:value host:web-1:80 user:bob",
    "Access denied for user 'root'@'localhost'; Killed process 12 (java)",
    "gr\u{fc}\u{df}e an b\u{fc}cher.example \u{4f60}\u{597d}/etc/passwd C:\\\u{fc}\u{4f60}.txt",
    "execve(\"/usr/bin/curl\") pid=4242 comm=\"curl\" process 'x' ::ffff:10.9.8.7",
    "hostname=web-01.example.com host web-02 hostname db3 rhost=5.36.59.76.x.net",
];

/// A text made of pieces of real ones, with bytes changed, cut and joined.
fn mutated(random: &mut Random) -> String {
    const BYTES: &[u8] = b" :./\\@%+~$[](){}<>\"'=,;-_|\n\t\0aZ09*?!\xc3\xbc\xe4\xbd\xff";
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(3) {
        let seed = SEEDS[random.below(SEEDS.len())].as_bytes();
        let from = random.below(seed.len());
        let from = if random.below(2) == 0 { 0 } else { from };
        let to =
            if random.below(2) == 0 { seed.len() } else { from + random.below(seed.len() - from) };
        bytes.extend_from_slice(&seed[from..to]);
    }
    for _ in 0..random.below(8) {
        let at = random.below(bytes.len() + 1);
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(3) {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => bytes[at] = byte,
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn whatever_the_text_is_names_lie_in_it_and_are_valid() {
    let mut random = Random(7);
    let (mut found, mut name, mut out) = (Found::default(), String::new(), String::new());
    for _ in 0..300_000 {
        let text = mutated(&mut random);
        scan(&text, &mut found);
        for mention in found.mentions() {
            assert!(!mention.span().is_empty(), "{text:?}");
            found.name(&text, mention, &mut name);
            assert!(text.contains(&text[mention.span()]));
            if mention.kind == Kind::Ip {
                assert!(name.parse::<std::net::IpAddr>().is_ok(), "{text:?} {name}");
            }
            if !name.contains('\0') {
                assert!(canonical(mention.kind, &name, &mut out), "{text:?} {mention:?} {name}");
            }
        }
        assert!(found.mentions().is_sorted_by_key(|mention| mention.start), "{text:?}");
    }
}

#[test]
fn a_text_of_nothing_but_one_byte_is_read_in_linear_time_and_within_bounds() {
    let mut found = Found::default();
    for byte in 0..128u8 {
        scan(&String::from_utf8(vec![byte; 40_000]).unwrap(), &mut found);
        assert!(found.mentions().len() <= 1, "{byte}");
    }
    for piece in
        ["user ", "host ", "C:\\a ", "\"/a/b ", "a[1", "://", "x:/y", "a@b.com ", "by user "]
    {
        scan(&piece.repeat(20_000), &mut found);
        assert!(found.mentions().len() <= MENTIONS_MAX, "{piece}");
    }
    scan(&"10.0.0.1 ".repeat(MENTIONS_MAX + 1), &mut found);
    assert!(found.is_cut() && found.mentions().len() == MENTIONS_MAX);
    scan(&"10.0.0.1 ".repeat(MENTIONS_MAX), &mut found);
    assert!(!found.is_cut());
}
