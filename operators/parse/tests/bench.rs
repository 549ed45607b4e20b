//! What a record costs. Ignored, for they print figures and judge nothing:
//! `cargo test --release -p operators parse -- --ignored --nocapture --test-threads 1 bench_`.

use std::time::Instant;

use super::{block, options, shared, windows_records};
use crate::parse::Parser;

/// Prints nanoseconds per record of records like `line`, one block of 1 000 at a time.
fn measure(name: &str, lines: &[String]) {
    let lines: Vec<_> = lines.iter().cycle().take(1_000.max(lines.len())).collect();
    let block = block("syslog", lines.iter().map(|line| line.as_str()));
    let parser = Parser::new(options());
    let mut best = f64::MAX;
    for _ in 0..60 {
        #[expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
        let start = Instant::now();
        let batch = parser.parse(block.clone());
        best = best.min(start.elapsed().as_nanos() as f64 / lines.len() as f64);
        assert_eq!(batch.events.len(), lines.len());
    }
    let bytes = block.text.len() / lines.len();
    println!("{name:10} {best:7.0} ns per record of {bytes:5} bytes");
}

/// What a general reader takes only to walk over the same objects, and to build them.
fn measure_serde_json(name: &str, records: &[String]) {
    let timed = |read: &dyn Fn(&str)| {
        let mut best = f64::MAX;
        for _ in 0..200 {
            #[expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
            let start = Instant::now();
            records.iter().for_each(|record| read(record));
            best = best.min(start.elapsed().as_nanos() as f64 / records.len() as f64);
        }
        best
    };
    let walked = timed(&|record| {
        serde_json::from_str::<serde::de::IgnoredAny>(record).unwrap();
    });
    let built = timed(&|record| {
        std::hint::black_box(serde_json::from_str::<serde_json::Value>(record).unwrap());
    });
    println!("{name:10} serde_json: {walked:.0} ns to walk, {built:.0} ns to build");
}

/// The same line over and over.
fn measure_line(name: &str, line: &str) {
    measure(name, &[line.to_owned()]);
}

#[test]
#[ignore = "prints figures"]
fn bench_headers() {
    measure_line(
        "5424",
        "<34>1 2026-11-22T13:38:00.003456Z web01.example.com sshd 1742 ID47 \
         [timeQuality tzKnown=\"1\" isSynced=\"1\"] Failed password for invalid user admin from \
         10.20.30.40 port 51234 ssh2 after the third attempt",
    );
    measure_line(
        "3164",
        "<86>Nov 22 13:38:00 web01.example.com sshd[1742]: Failed password for invalid user admin \
         from 10.20.30.40 port 51234 ssh2, which was the third attempt within a minute, and so the \
         connection is closed",
    );
    measure_line(
        "log4j",
        "2026-11-22 13:38:00,978 INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: \
         Created MRAppMaster for application appattempt_1445144423722_0020_000001 and nothing else",
    );
    measure_line(
        "plain",
        "Failed password for invalid user admin from 10.20.30.40 port 51234 ssh2, which was the \
         third attempt within a minute, and so the connection is closed, as the rules of this \
         house demand",
    );
}

#[test]
#[ignore = "prints figures"]
fn bench_access() {
    measure_line(
        "access",
        "10.20.30.40 - bob [22/Nov/2026:13:55:36 +0000] \"GET /shop/cart?item=17&n=2 HTTP/1.1\" \
         200 2326 \"https://shop.example/list\" \"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) \
         Gecko/20100101 Firefox/120.0\"",
    );
}

#[test]
#[ignore = "prints figures"]
fn bench_pairs() {
    measure_line(
        "logfmt",
        "time=\"2026-11-22T13:00:00Z\" level=info msg=\"request served\" app=store method=GET \
         path=/api/v1/items status=200 duration=12.5ms user=bob ip=10.20.30.40",
    );
    measure_line(
        "audit",
        "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 \
         a0=7fffd19c5592 a1=0 a2=7fffd19c4b50 a3=a items=1 ppid=2686 pid=3538 auid=1000 uid=1000 \
         gid=1000 euid=1000 tty=pts0 ses=1 comm=\"cat\" exe=\"/bin/cat\" key=\"sshd_config\"",
    );
}

#[test]
#[ignore = "prints figures"]
fn bench_json() {
    measure_line(
        "json",
        "{\"time\":\"2026-11-22T13:00:00.123Z\",\"level\":\"info\",\"host\":\"web01\",\
         \"app\":\"store\",\"msg\":\"request served\",\"method\":\"GET\",\
         \"path\":\"/api/v1/items\",\"status\":200,\"duration\":12.5,\
         \"user\":{\"name\":\"bob\",\"id\":17}}",
    );
}

#[test]
#[ignore = "prints figures"]
fn bench_windows() {
    let Some(folder) = shared("data/sigma") else {
        return;
    };
    let records = windows_records(&folder);
    let near = |record: &&String| (1_300..1_900).contains(&record.len());
    let records: Vec<_> = records.iter().filter(near).cloned().collect();
    let value = |record: &String| serde_json::from_str::<serde_json::Value>(record).unwrap();
    let compact: Vec<_> = records.iter().map(|record| value(record).to_string()).collect();
    for (name, records) in [("windows", &records), ("compact", &compact)] {
        measure(name, records);
        measure_serde_json(name, records);
    }
}
