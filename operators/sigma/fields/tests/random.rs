//! Records that nobody would send.

use super::*;
use crate::types::hash::mix;

const RULE: &str = "title: t\nlogsource: {product: linux}\ndetection: {a: [root], condition: a}\n";

#[test]
fn no_record_ends_it_and_the_same_record_is_always_read_alike() {
    let registry = r#""EventData":{"ObjectName":"\\REGISTRY\\USER\\x","NewValue":"0x7"}"#;
    let process = r#""EventData":{"NewProcessId":"0x1f","Data":[{"@Name":"a b"}]}"#;
    let seeds = [
        dumped("Security", 4657, registry),
        dumped("Security", 4688, process),
        r#"{"winlog":{"channel":"x","event_id":1,"event_data":{"param1":"ä ö"}}}"#.to_owned(),
        "<85>Nov 22 13:38:00 web sudo: ann : TTY=pts/0 ; PWD=/x ; COMMAND=/bin/sh".to_owned(),
        "<4>Nov 22 13:38:00 f kernel: [UFW BLOCK] IN=e OUT= SRC=1.2.3.4 DST=1.2.3.5 DPT=1".into(),
        "<30>Nov 22 13:38:00 n dnsmasq[1]: query[A] x from 1.2.3.4 is %SYS-5-X: ".to_owned(),
        "<30>Nov 22 13:38:00 n named[1]: client @0 1.2.3.4#5 (x): query: x IN A +".to_owned(),
        "1.2.3.4 - - [22/Nov/2026:13:38:00 +0000] \"GET http://a@[::1]:8/x.é?y HTTP/1.1\" 200 1"
            .to_owned(),
        "1066036250.603 310 1.2.3.4 TCP_MISS/200 5 GET http://x/ - DIRECT/1.2.3.4 t/h".to_owned(),
        "CEF:0|A|B|1|7|n|3|src=1.2.3.4 request=http://ä/?x act=allow dpt=1".to_owned(),
    ];
    let active = active(&[("r.yml".into(), RULE.into())], builtin());
    let (mut random, mut sigma) = (7u64, Sigma::new(&active));
    for round in 0..4_000 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=round % 5 {
            random = mix(random.wrapping_add(1));
            let at = (random >> 32) as usize % bytes.len();
            match random % 3 {
                0 => bytes[at] = (random >> 8) as u8,
                1 => drop(bytes.drain(at..bytes.len().min(at + (random >> 16) as usize % 9))),
                _ => bytes.insert(at, b"{}[]\":=%;/ #\\"[(random >> 24) as usize % 13]),
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        let record = String::from_utf8_lossy(&bytes).into_owned();
        let source = ["/var/log/squid/a.log", "/x"][round % 2];
        let mut one = batch("file", source, &[&record, &record]);
        sigma.detect(&mut one);
        let shown = |sigma: &mut Sigma, at: usize| {
            format!("{:?}", sigma.record(&one, &one.events[at]).fields())
        };
        let before = shown(&mut sigma, 0);
        // The second stands elsewhere, and says the same.
        assert_eq!(shown(&mut sigma, 1), before, "{record}");
        if round % 64 == 0 {
            let fields = |sigma: &mut Sigma| -> Vec<(String, String)> {
                let record = sigma.record(&one, &one.events[0]);
                let fields = record.fields().iter();
                fields.map(|f| (f.name.to_owned(), format!("{:?}", f.value))).collect()
            };
            assert_eq!(fields(&mut Sigma::new(&active)), fields(&mut sigma), "{record}");
        }
    }
}

#[test]
fn forgetting_names_changes_nothing() {
    let active = active(&[("r.yml".into(), RULE.into())], Vec::new());
    let mut sigma = Sigma::new(&active);
    let web = dumped("Security", 4688, r#""EventData":{"NewProcessName":"x","Some Name":"y"}"#);
    let web = batch("file", "x", &[web]);
    let before = format!("{:?}", sigma.record(&web, &web.events[0]).fields());
    for round in 0..20 {
        let many: Vec<String> = (0..100)
            .map(|i| {
                let pairs: Vec<String> =
                    (0..50).map(|j| format!("\"n{round}_{i}_{j}\":1")).collect();
                format!("{{{}}}", pairs.join(","))
            })
            .collect();
        sigma.detect(&mut batch("file", "x", &many));
    }
    assert_eq!(format!("{:?}", sigma.record(&web, &web.events[0]).fields()), before);
}
