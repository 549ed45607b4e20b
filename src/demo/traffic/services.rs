//! What the machines are there for: the web, the shop, mail and names.

use super::*;

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/122.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:123.0) Gecko/20100101 Firefox/123.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// A line of a web server's access log.
pub(in super::super) fn request(
    at: i64,
    host: &'static str,
    from: &str,
    asked: &str,
    (status, bytes): (u32, i64),
    agent: &str,
) -> Line {
    let nginx = Writer { host, app: "nginx", pid: 0, priority: 190 };
    // Its own time has no fractions, and so has that of the line around it.
    let at = at - at % SECOND;
    let seconds = at / SECOND;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = format!("12/Mar/2024:{hour:02}:{minute:02}:{second:02} +0000");
    nginx.line(at, format!("{from} - - [{time}] \"{asked}\" {status} {bytes} \"-\" \"{agent}\""))
}

pub(super) fn web(lines: &mut Vec<Line>, random: &mut Random) {
    const PAGES: [&str; 14] = [
        "/",
        "/products",
        "/cart",
        "/login",
        "/static/app.css",
        "/static/app.js",
        "/favicon.ico",
        "/static/logo.svg",
        "/api/v1/items",
        "/api/v1/cart",
        "/account",
        "/about",
        "/robots.txt",
        "/help",
    ];
    const MISSING: [&str; 6] = [
        "/wp-login.php",
        "/.env",
        "/admin.php",
        "/old/index.html",
        "/sitemap.xml",
        "/apple-touch-icon.png",
    ];
    let regular: Vec<String> = (0..120).map(|_| anywhere(random)).collect();
    let regular: Vec<&str> = regular.iter().map(String::as_str).collect();
    for host in WEB {
        // Somebody looks every minute whether it is still there.
        for minute in 0..(HOURS.1 - HOURS.0) / MINUTE {
            let at = HOURS.0 + minute * MINUTE + random.between(0, SECOND);
            let asked = "GET /health HTTP/1.1";
            lines.push(request(at, host, address(BASTION), asked, (200, 2), "curl/7.88.1"));
        }
        for at in moments(random, 400) {
            let other;
            let from = match random.chance(700) {
                true => random.favour(&regular),
                false => {
                    other = anywhere(random);
                    &other
                }
            };
            let agent = random.favour(&AGENTS);
            let (asked, answer) = match random.below(100) {
                0..=5 => {
                    let page = random.pick(&MISSING);
                    (format!("GET {page} HTTP/1.1"), (404, random.between(150, 160)))
                }
                6..=11 => {
                    let item = random.between(1_000, 9_999);
                    (format!("POST /api/v1/cart?item={item} HTTP/1.1"), (201, 64))
                }
                12..=27 => {
                    let item = random.between(1_000, 9_999);
                    let bytes = random.between(900, 4_000);
                    (format!("GET /products/{item}?ref=list HTTP/1.1"), (200, bytes))
                }
                28..=31 => ("GET /account HTTP/1.1".to_owned(), (302, 0)),
                32 => ("GET /api/v1/items HTTP/1.1".to_owned(), (502, 157)),
                33..=40 => {
                    let page = random.favour(&PAGES);
                    (format!("GET {page} HTTP/1.1"), (304, 0))
                }
                _ => {
                    let page = random.favour(&PAGES);
                    let bytes = random.between(400, 30_000);
                    (format!("GET {page} HTTP/2.0"), (200, bytes))
                }
            };
            lines.push(request(at, host, from, &asked, answer, agent));
        }
    }
}

pub(super) fn shop(lines: &mut Vec<Line>, random: &mut Random) {
    for host in APP {
        let shop = Writer { host, app: "shop", pid: 1_204, priority: LOCAL };
        for at in moments(random, 300) {
            let time = EventTimeText(at);
            let mut text = String::new();
            let trace = random.hex(16);
            let took = random.between(3, 90) + if random.chance(60) { 400 } else { 0 };
            let (level, logger, what) = match random.below(100) {
                0..=54 => ("info", "http", "request handled"),
                55..=74 => ("info", "cart", "item added"),
                75..=87 => ("info", "orders", "order placed"),
                88..=94 => ("debug", "cache", "cache refreshed"),
                95..=97 => ("warn", "payments", "card declined"),
                98 => ("warn", "db", "slow query"),
                _ => ("error", "payments", "gateway timeout, will retry"),
            };
            let customer = random.between(10_000, 99_999);
            let written = write!(
                text,
                "{{\"time\":\"{time}\",\"level\":\"{level}\",\"logger\":\"{logger}\",\
                 \"msg\":\"{what}\",\"customer\":{customer},\"duration_ms\":{took},\
                 \"trace_id\":\"{trace}\"}}"
            );
            written.expect("memory takes it");
            lines.push(shop.line(at, text));
        }
    }
}

/// A moment of the day, written out.
struct EventTimeText(i64);

impl std::fmt::Display for EventTimeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.0;
        let (hour, minute) = (at / HOUR, at / MINUTE % 60);
        let (second, milli) = (at / SECOND % 60, at % SECOND);
        write!(f, "2024-03-12T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

pub(super) fn mail(lines: &mut Vec<Line>, random: &mut Random) {
    const PARTNERS: [(&str, &str); 6] = [
        ("mail.example.org", "198.51.100.12"),
        ("mx1.example.net", "198.51.100.77"),
        ("smtp.partner.example", "192.0.2.25"),
        ("mail-out.vendor.example", "192.0.2.180"),
        ("mta7.news.example", "198.51.100.201"),
        ("relay.bank.example", "192.0.2.66"),
    ];
    let writer = |app, pid| Writer { host: MAIL, app, pid, priority: MAIL_INFO };
    for at in moments(random, 55) {
        let (name, from) = random.favour(&PARTNERS);
        let to = random.pick(PEOPLE).name;
        let smtpd = writer("postfix/smtpd", pid(random));
        let cleanup = writer("postfix/cleanup", pid(random));
        let queue = writer("postfix/qmgr", 1_377);
        let local = writer("postfix/lmtp", pid(random));
        let id = format!("4{}", random.text(9, b"0123456789ABCDEF"));
        let message_id = random.hex(20);
        let size = random.between(1_200, 60_000);
        lines.push(smtpd.line(at, format!("connect from {name}[{from}]")));
        if random.chance(120) {
            let reject = "NOQUEUE: reject: RCPT from";
            lines.push(smtpd.line(
                at + 300,
                format!(
                    "{reject} {name}[{from}]: 550 5.1.1 <info@corp.example>: Recipient address \
                     rejected: User unknown in virtual mailbox table; proto=ESMTP helo=<{name}>"
                ),
            ));
        } else {
            lines.push(smtpd.line(at + 210, format!("{id}: client={name}[{from}]")));
            lines.push(cleanup.line(at + 260, format!("{id}: message-id=<{message_id}@{name}>")));
            lines.push(queue.line(
                at + 300,
                format!("{id}: from=<news@{name}>, size={size}, nrcpt=1 (queue active)"),
            ));
            let (delay, whole) = (random.between(10, 99), random.below(3));
            lines.push(local.line(
                at + 520,
                format!(
                    "{id}: to=<{to}@corp.example>, relay=127.0.0.1[127.0.0.1]:24, \
                     delay={whole}.{delay}, delays=0.3/0.01/0.02/0.{delay}, dsn=2.0.0, \
                     status=sent (250 2.0.0 Ok: saved)"
                ),
            ));
            lines.push(queue.line(at + 530, format!("{id}: removed")));
        }
        lines.push(smtpd.line(
            at + 700,
            format!("disconnect from {name}[{from}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"),
        ));
    }
}

const NAMES: [&str; 16] = [
    "www.example.com",
    "api.partner.example",
    "time.corp.example",
    "intranet.corp.example",
    "mail.corp.example",
    "cdn.example.net",
    "updates.example.org",
    "registry.example.io",
    "git.corp.example",
    "static.example.com",
    "fonts.example.net",
    "news.example.org",
    "login.example.com",
    "telemetry.example.net",
    "packages.example.org",
    "maps.example.com",
];

/// A question to the name server.
pub(in super::super) fn question(at: i64, kind: &str, name: &str, from: &str) -> Line {
    let dnsmasq = Writer { host: DNS, app: "dnsmasq", pid: 911, priority: DAEMON };
    dnsmasq.line(at, format!("query[{kind}] {name} from {from}"))
}

pub(super) fn names(lines: &mut Vec<Line>, random: &mut Random) {
    let dnsmasq = Writer { host: DNS, app: "dnsmasq", pid: 911, priority: DAEMON };
    for at in moments(random, 400) {
        let from = match random.chance(500) {
            true => random.pick(PEOPLE).at,
            false => random.pick(&HOSTS).1,
        };
        let name = random.favour(&NAMES);
        let kind = match random.below(20) {
            0..=9 => "A",
            10..=13 => "AAAA",
            14..=18 => "TXT",
            _ => "MX",
        };
        lines.push(question(at, kind, name, from));
        let mut answer = Random::of(0, name);
        let address = format!("198.51.100.{}", answer.between(1, 255));
        if random.chance(600) {
            lines.push(dnsmasq.line(at + 1, format!("cached {name} is {address}")));
            continue;
        }
        lines.push(dnsmasq.line(at + 1, format!("forwarded {name} to 192.0.2.53")));
        let back = at + random.between(8, 60);
        match random.chance(40) {
            true => lines.push(dnsmasq.line(back, format!("reply {name} is NXDOMAIN"))),
            false => lines.push(dnsmasq.line(back, format!("reply {name} is {address}"))),
        }
    }
}
