use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Instant;

use tokio::sync::mpsc;

use super::super::testing::{all_texts, context, intakes, texts};
use super::super::{self as receivers, Receivers, Snapshot};
use super::*;
use crate::intake::Intake;

const LOOPBACK: &str = "127.0.0.1:0";

fn usual() -> Options {
    let any = Some(LOOPBACK.parse().unwrap());
    Options { message_max: 1_024, ..Options::usual(any, any) }
}

/// A running syslog receiver, with the journal's end of its channel.
struct Rig {
    receivers: Receivers,
    intakes: mpsc::Receiver<Intake>,
}

impl Rig {
    async fn new(options: Options, channel: usize) -> Self {
        let (context, intakes) = context(channel);
        let options = [receivers::Options::Syslog(options)];
        let receivers = receivers::start(&options, &[], &context).await.unwrap();
        Rig { receivers, intakes }
    }

    fn address(&self, protocol: Protocol) -> SocketAddr {
        let bound = &self.receivers.list[0].bound;
        bound.iter().find(|(p, _)| *p == protocol).unwrap().1
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address(Protocol::Tcp)).unwrap()
    }

    fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind(LOOPBACK).unwrap();
        socket.connect(self.address(Protocol::Udp)).unwrap();
        socket
    }

    fn counted(&self) -> Snapshot {
        self.receivers.list[0].counters.snapshot()
    }

    /// Waits until the counters say so.
    async fn until(&self, so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let start = Instant::now();
        while !so(&self.counted()) {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", self.counted());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.counted()
    }
}

type Expect = fn(&Snapshot) -> bool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_on_a_connection_is_counted_and_the_connection_lives_on() {
    let long = [b"<34>".as_slice(), &vec![b'a'; 50_000_000], b"\n"].concat();
    let digits = [b"<".as_slice(), &[b'9'; 4_096], b">x\n"].concat();
    let rows: &[(&str, &[u8], &[&str], Expect)] = &[
        ("a line of 50 MB", &long, &["<34>aaa…"], |c| c.truncated == 1),
        ("a NUL in a line", b"<34>a\0b\n", &["<34>a\0b"], |c| c.framing_errors == 0),
        ("bytes that are not UTF-8", b"<34>\xff\xfe\n", &["<34>\u{fffd}\u{fffd}"], |_| true),
        (
            "a byte order mark",
            b"<34>1 - - - - - - \xef\xbb\xbfx\n",
            &["<34>1 - - - - - - \u{feff}x"],
            |_| true,
        ),
        (
            "counted frames",
            b"26 <34>1 - h a - - - msg one!6 <34>1 <34>line\n",
            &["<34>1 - h a - - - msg one!", "<34>1 ", "<34>line"],
            |c| c.framing_errors == 0,
        ),
        ("a count of 99 MB", b"99999999 <34>1 lie\n", &["<34>1 lie"], |c| c.framing_errors == 1),
        ("a negative count", b"-5 <34>1 lie\n", &["<34>1 lie"], |c| c.framing_errors == 1),
        ("a count with zeros", b"007 <34>1 lie\n", &["<34>1 lie"], |c| c.framing_errors == 1),
        ("a count one short", b"9 <34>1 lie\n", &["<34>1 lie"], |c| c.framing_errors == 0),
        ("a count two short", b"8 <34>1 lie\n", &["<34>1 li", "e"], |c| c.framing_errors == 1),
        ("priority 999", b"<999>x\n", &["<999>x"], |_| true),
        ("no priority in the brackets", b"<>x\n", &["<>x"], |_| true),
        ("no priority", b"plain\n", &["plain"], |_| true),
        ("4 kB of digits", &digits, &["<9999…"], |c| c.truncated == 1),
        ("CR within a counted frame", b"8 <34>a\rb\n", &["<34>a\rb"], |_| true),
        ("LF within a counted frame", b"7 <34>a\nb", &["<34>a\nb"], |_| true),
        ("control characters", b"<34>\x1b]0;P\x07\n", &["<34>\x1b]0;P\x07"], |_| true),
        ("empty lines", b"\n\r\n<34>x\n", &["<34>x"], |c| c.empty == 2),
    ];
    for (name, bytes, expected, counted) in rows {
        let mut rig = Rig::new(usual(), 4_096).await;
        let mut connection = rig.connect();
        connection.write_all(bytes).unwrap();
        connection.write_all(b"<13>probe\n").unwrap();
        let seen = texts(&mut rig.intakes, expected.len() + 1).await;
        assert_eq!(seen.len(), expected.len() + 1, "{name}: {seen:?}");
        for (seen, expected) in seen.iter().zip(expected.iter().chain([&"<13>probe"])) {
            match expected.strip_suffix('…') {
                Some(start) => assert!(seen.starts_with(start) && seen.len() == 1_024, "{name}"),
                None => assert_eq!(seen, expected, "{name}"),
            }
        }
        let snapshot = rig.until(|c| c.received as usize == expected.len() + 1).await;
        assert!(counted(&snapshot), "{name}: {snapshot:?}");
        assert_eq!(snapshot.open, 1, "{name}: the connection lives");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_not_ended_comes_when_nothing_follows_it() {
    let mut rig = Rig::new(Options { flush_after: Duration::from_millis(50), ..usual() }, 64).await;
    let mut connection = rig.connect();
    connection.write_all(b"<34>no end").unwrap();
    let intakes = intakes(&mut rig.intakes, 1).await;
    let (record, flags) = intakes[0].records().next().unwrap();
    assert_eq!((record, flags), (&b"<34>no end"[..], operators::types::Flags::UNTERMINATED));
    assert_eq!(intakes[0].source.to_string(), "syslog:127.0.0.1");
    connection.write_all(b"<34>next\n").unwrap();
    assert_eq!(texts(&mut rig.intakes, 1).await, ["<34>next"]);
    assert_eq!(rig.counted().unterminated, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_never_becomes_whole_is_given_up_with_its_connection() {
    let options = Options {
        frame_timeout: Duration::from_millis(300),
        flush_after: Duration::from_secs(60),
        ..usual()
    };
    let mut rig = Rig::new(options, 64).await;
    let mut connection = rig.connect();
    let start = Instant::now();
    // A byte now and then keeps a connection from being idle, and does not keep it for ever.
    while rig.counted().timed_out == 0 && start.elapsed() < Duration::from_secs(20) {
        let _ = connection.write_all(b"a");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let snapshot = rig.until(|c| c.open == 0).await;
    assert_eq!((snapshot.timed_out, snapshot.unterminated), (1, 1));
    assert!(texts(&mut rig.intakes, 1).await[0].starts_with("aaa"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed() {
    let rig = Rig::new(Options { idle_timeout: Duration::from_millis(100), ..usual() }, 64).await;
    let _connection = rig.connect();
    rig.until(|c| c.connections == 1 && c.open == 0 && c.timed_out == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_do_not_keep_out_a_good_one() {
    for options in [
        Options { connections_max: 256, ..usual() },
        Options { connections_per_peer_max: 256, ..usual() },
    ] {
        a_good_one_among_a_thousand(options).await;
    }
}

async fn a_good_one_among_a_thousand(options: Options) {
    let mut rig = Rig::new(options, 64).await;
    let mut good = rig.connect();
    good.write_all(b"<34>before\n").unwrap();
    assert_eq!(texts(&mut rig.intakes, 1).await, ["<34>before"]);
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        let mut connection = rig.connect();
        // One that was sent away already may answer with a reset.
        let _ = connection.write_all(b"<34>x");
        idle.push(connection);
    }
    good.write_all(b"<34>after\n").unwrap();
    let mut new = rig.connect();
    new.write_all(b"<34>new\n").unwrap();
    let start = Instant::now();
    let mut seen = Vec::new();
    while !(seen.contains(&"<34>after".to_owned()) && seen.contains(&"<34>new".to_owned())) {
        seen.extend(texts(&mut rig.intakes, 1).await);
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    let snapshot = rig.until(|c| c.evicted >= 1_002 - 256 && c.open <= 256).await;
    assert_eq!(snapshot.refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_are_active_the_new_connection_is_refused() {
    let mut rig = Rig::new(Options { connections_max: 2, ..usual() }, 64).await;
    let mut active = [rig.connect(), rig.connect()];
    for connection in &mut active {
        connection.write_all(b"<34>x\n").unwrap();
    }
    texts(&mut rig.intakes, 2).await;
    let _third = rig.connect();
    rig.until(|c| c.refused == 1).await;
    active[0].write_all(b"<34>y\n").unwrap();
    assert_eq!(texts(&mut rig.intakes, 1).await, ["<34>y"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_reset_is_kept() {
    let mut rig = Rig::new(usual(), 4_096).await;
    let mut connection = rig.connect();
    let lines: String = (0..20_000).map(|i| format!("<34>line {i}\n")).collect();
    connection.write_all(lines.as_bytes()).unwrap();
    socket2::SockRef::from(&connection).set_linger(Some(Duration::ZERO)).unwrap();
    // The sender's own kernel forgets what it has not sent yet: that is not ours to keep.
    rig.until(|c| c.received >= 19_000 || c.received > 0 && c.open == 0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(connection);
    rig.until(|c| c.open == 0).await;
    let seen = texts(&mut rig.intakes, 20_000).await;
    assert_eq!(seen.len(), 20_000);
    assert_eq!(seen[19_999], "<34>line 19999");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_waits_while_the_journal_is_behind_and_loses_nothing() {
    const RECORDS: usize = 200_000;
    let mut rig = Rig::new(usual(), 2).await;
    let mut connection = rig.connect();
    let sender = std::thread::spawn(move || {
        let filler = "x".repeat(200);
        for i in 0..RECORDS {
            connection.write_all(format!("<34>{i} {filler}\n").as_bytes()).unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!sender.is_finished(), "40 MB do not fit into what may wait");
    assert!(rig.counted().received < RECORDS as u64);
    let seen = texts(&mut rig.intakes, RECORDS).await;
    sender.join().unwrap();
    assert_eq!(seen.len(), RECORDS);
    assert!(seen.iter().enumerate().all(|(i, text)| text.starts_with(&format!("<34>{i} "))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_hands_over_what_was_read_and_does_not_take_long() {
    let mut rig = Rig::new(usual(), 4_096).await;
    let mut connection = rig.connect();
    let udp = rig.udp();
    for i in 0..1_000 {
        connection.write_all(format!("<34>{i}\n").as_bytes()).unwrap();
        udp.send(b"<34>datagram").unwrap();
    }
    rig.until(|c| c.open == 1).await;
    let start = Instant::now();
    let counted = rig.receivers.stop().await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(counted[0].1.received, 2_000);
    rig.intakes.close();
    let mut seen = Vec::new();
    while let Some(intake) = rig.intakes.recv().await {
        seen.push(intake);
    }
    assert_eq!(all_texts(&seen).len(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_journal_that_takes_nothing() {
    let rig = Rig::new(usual(), 1).await;
    let (mut connection, udp) = (rig.connect(), rig.udp());
    let start = Instant::now();
    while rig.counted().connections == 0 || start.elapsed() < Duration::from_millis(300) {
        connection.write_all(b"<34>connected\n").unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..100 {
        udp.send(b"<34>x").unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let start = Instant::now();
    let counted = rig.receivers.stop().await[0].1;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(counted.dropped_full > 100 && counted.received > 0, "{counted:?}");
    assert_eq!(counted.dropped_kernel, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_datagram_is_a_record() {
    let mut rig = Rig::new(usual(), 64).await;
    let udp = rig.udp();
    let long = vec![b'a'; 65_507];
    let sent: [&[u8]; 6] = [b"<34>a", b"<34>b\n", b"<34>c\0", b"", b"<34>d\ne\r\n", &long];
    for datagram in sent {
        udp.send(datagram).unwrap();
    }
    let seen = texts(&mut rig.intakes, 5).await;
    assert_eq!(seen[..4], ["<34>a", "<34>b", "<34>c", "<34>d\ne"]);
    assert_eq!(seen[4].len(), 1_024);
    let counted = rig.until(|c| c.received == 5).await;
    assert_eq!((counted.empty, counted.truncated), (1, 1));
}

/// Sends `count` datagrams of 110 bytes, at most so many in a second.
fn send_datagrams(udp: &UdpSocket, count: u64, per_second: f64) {
    let start = Instant::now();
    let filler = "x".repeat(92);
    for i in 0..count {
        udp.send(format!("<34>{i:>8} {filler}").as_bytes()).unwrap();
        let due = Duration::from_secs_f64(i as f64 / per_second);
        while start.elapsed() < due {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_thousand_datagrams_a_second_lose_none() {
    let mut rig = Rig::new(usual(), 256).await;
    let udp = rig.udp();
    let sender = tokio::task::spawn_blocking(move || send_datagrams(&udp, 60_000, 30_000.0));
    let seen = texts(&mut rig.intakes, 60_000).await;
    sender.await.unwrap();
    assert_eq!(seen.len(), 60_000);
    let counted = rig.counted();
    assert_eq!((counted.dropped_kernel, counted.dropped_full), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_datagram_that_is_lost_is_counted() {
    // A socket buffer of a few datagrams, and a journal that takes nothing at first.
    let options = Options { receive_buffer_bytes: 4_096, backlog_bytes_max: 100_000, ..usual() };
    let rig = Rig::new(options, 1).await;
    let udp = rig.udp();
    let sender = tokio::task::spawn_blocking(move || send_datagrams(&udp, 50_000, 1e9));
    sender.await.unwrap();
    rig.until(|c| c.dropped_full > 0).await;
    let Rig { receivers, mut intakes } = rig;
    let counters = receivers.list[0].counters.clone();
    let drain = tokio::spawn(async move {
        let mut taken = 0;
        while let Some(intake) = intakes.recv().await {
            taken += intake.ends.len() as u64;
        }
        taken
    });
    let sum = |c: &Snapshot| c.received + c.dropped_full + c.dropped_kernel;
    let start = Instant::now();
    while sum(&counters.snapshot()) < 50_000 && start.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counted = receivers.stop().await[0].1;
    assert_eq!(sum(&counted), 50_000, "{counted:?}");
    assert_eq!(counted.received, drain.await.unwrap());
    assert!(counted.dropped_kernel > 0, "{counted:?}");
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let address = taken.local_addr().unwrap();
    let (context, _intakes) = context(1);
    let options = Options { tcp: Some(address), ..usual() };
    let options = [receivers::Options::Syslog(options)];
    let error = receivers::start(&options, &[], &context).await.unwrap_err();
    let expected =
        format!("cannot listen on `{address}` (tcp); `receivers.syslog_tcp_port` says where");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logger_of_util_linux_is_understood() {
    if Command::new("logger").arg("--version").output().is_err() {
        println!("skipped: there is no `logger` here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    let text: String = (0..5_000).map(|i| format!("line {i} of five thousand\n")).collect();
    std::fs::write(&lines, text).unwrap();
    for (protocol, options) in [
        (Protocol::Tcp, &["-T", "--octet-count", "--rfc5424"][..]),
        (Protocol::Tcp, &["-T", "--rfc3164"]),
        (Protocol::Udp, &["-d", "--rfc5424"]),
    ] {
        let mut rig = Rig::new(usual(), 4_096).await;
        let port = rig.address(protocol).port().to_string();
        let mut logger = Command::new("logger");
        logger.env_remove("LD_LIBRARY_PATH").args(["-n", "127.0.0.1", "-P", &port, "-t", "app"]);
        let mut child = logger.args(options).arg("-f").arg(&lines).spawn().unwrap();
        let seen = texts(&mut rig.intakes, 5_000).await;
        assert!(child.wait().unwrap().success());
        assert_eq!(seen.len(), 5_000);
        for (i, text) in seen.iter().enumerate() {
            assert!(text.starts_with('<') && text.ends_with(&format!("line {i} of five thousand")));
        }
        let counted = rig.counted();
        assert_eq!((counted.framing_errors, counted.unterminated), (0, 0), "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peer_that_has_most_connections_gives_way() {
    let mut rig = Rig::new(Options { connections_max: 8, ..usual() }, 64).await;
    // All of 127/8 is this machine.
    let from = |address: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let address: SocketAddr = format!("{address}:0").parse().unwrap();
        socket.bind(&address.into()).unwrap();
        socket.connect(&rig.address(Protocol::Tcp).into()).unwrap();
        TcpStream::from(socket)
    };
    let mut quiet = from("127.0.0.2");
    rig.until(|c| c.connections == 1).await;
    let _many: Vec<TcpStream> = (0..50).map(|_| from("127.0.0.3")).collect();
    rig.until(|c| c.evicted == 43).await;
    // Silent for longer than any of the others, and still there.
    quiet.write_all(b"<34>still here\n").unwrap();
    let intakes = intakes(&mut rig.intakes, 1).await;
    assert_eq!(intakes[0].source.name, "127.0.0.2");
    assert_eq!(all_texts(&intakes), ["<34>still here"]);
}

/// `SEERFLOW_HARNESS="127.0.0.1:5514 10 32000000"`: an address, for how many seconds, and the
/// socket buffer to ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "counts what senders send that others have written"]
async fn harness() {
    let told = std::env::var("SEERFLOW_HARNESS").expect("`SEERFLOW_HARNESS` says where to listen");
    let told: Vec<&str> = told.split(' ').collect();
    let address = Some(told[0].parse().expect("an address with a port"));
    let receive_buffer_bytes = told[2].parse().expect("a number of bytes");
    let options = Options { receive_buffer_bytes, ..Options::usual(address, address) };
    let mut rig = Rig::new(options, 256).await;
    let end = Duration::from_secs(told[1].parse().expect("a number of seconds"));
    let mut taken = 0;
    let drain = async {
        while let Some(intake) = rig.intakes.recv().await {
            taken += intake.ends.len();
        }
    };
    let _ = tokio::time::timeout(end, drain).await;
    let counted = rig.receivers.stop().await[0].1;
    while let Ok(intake) = rig.intakes.try_recv() {
        taken += intake.ends.len();
    }
    println!("{taken} records: {}", serde_json::to_string(&counted).unwrap());
}
