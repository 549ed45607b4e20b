//! The law, on the graph itself: what comes out does not depend on the number of workers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use operators::correlation::Counts;
use operators::score::groups;
use operators::score::opinion::Surprise;
use operators::sigma::{Active, Schedule};
use operators::state::{Changes, Ledger, MemoryStore, StateKey, Store};
use operators::types::hash::mix;
use operators::types::{
    Alert, Block, Detector, EpochEnd, EventTime, Flags, Hand, Level, Record, Source, Span, Text,
};
use timely::dataflow::operators::{Inspect, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};

use crate::{Options, detection};

mod correlation;

fn options(memory_bytes: usize) -> Options {
    use operators::{content, entity, extract, parse, score, template, watermark};
    Options {
        parse: parse::Options {
            zone: parse::Zone::fixed(0),
            future_max: parse::FUTURE_MAX,
            fields_max: parse::FIELDS_MAX,
        },
        extract: extract::Options {
            max_entities: extract::MAX_ENTITIES,
            scan_bytes: extract::SCAN_BYTES,
            id_cache_slots: extract::ID_CACHE_SLOTS,
        },
        watermark: watermark::Options { tolerance: Span::from_secs(30), idle: Span::from_secs(60) },
        template: template::Options::STANDARD,
        content: content::Options {
            half_space: score::half_space::Options::MESSAGES,
            features: score::features::Options::MESSAGES,
            rarity: score::rarity::Options::TEMPLATES,
            explain_from: Surprise::of(1e-3),
        },
        entity: entity::Options {
            window: entity::window::Options { width: Span::from_secs(1_800), events_max: 1_000 },
            session: Span::from_secs(1_800),
            context: score::rarity::ContextOptions::ENTITY,
            sequence: score::markov::Options::TEMPLATES,
            groups: groups::Options {
                width: Span::from_secs(600),
                alerts_per_million: 20_000.0,
                weights: vec![1.0; Detector::ALL.len()],
                floor: 0.05,
                groups_min: 10,
                events_min: 32,
                events_max: 512,
                open_max: 8_192,
            },
            incidents: vec![Span::from_secs(900); Detector::ALL.len()],
            memory_bytes,
        },
        weights: vec![1.0; Detector::ALL.len()],
        attack: operators::report::attack::Attack::built_in(),
    }
}

/// A log of a few hosts and users that mostly do the usual; the same on every call.
fn lines(count: u64) -> Vec<String> {
    (0..count)
        .map(|i| {
            let random = mix(i ^ 0xfeed);
            let (host, user) = (random % 5, (random >> 8) % 7);
            let time = EventTime::from_secs(1_700_000_000 + i as i64 * 2).to_rfc3339();
            let body = match (random >> 16) % 400 {
                0..=199 => format!(
                    "Accepted password for user{user} from 10.0.{host}.{user} port {}",
                    random % 60_000
                ),
                200..=299 => {
                    format!("pam_unix(sshd:session): session opened for user user{user} by (uid=0)")
                }
                300..=397 => format!("Connection closed by 10.0.{host}.{user} [preauth]"),
                398 => {
                    format!("segfault at {:x} ip {:x} error {}", random, random >> 3, random % 9)
                }
                _ => format!("user{user} did something that nobody ever did number{i}"),
            };
            format!("<38>1 {time} host{host} sshd {} - - {body}", 100 + random % 40)
        })
        .collect()
}

/// Epochs with their blocks.
type Epochs = Vec<(EpochEnd, Vec<Arc<Block>>)>;

/// Cuts lines into epochs of blocks, as a journal would.
fn epochs(lines: &[String]) -> Epochs {
    let sources = Arc::new(vec![Source { receiver: "syslog".into(), name: "test".into() }]);
    let (mut epochs, mut seq) = (Vec::new(), 0usize);
    while seq < lines.len() {
        let epoch = epochs.len() as u64 + 1;
        let end = (seq + (seq / 8).clamp(64, 16_384)).min(lines.len());
        let blocks = (seq..end).step_by(50).map(|first| {
            let mut block = Block {
                epoch,
                first_seq: first as u64,
                text: String::new(),
                records: Vec::new(),
                sources: Arc::clone(&sources),
                ended: Vec::new(),
            };
            for line in &lines[first..end.min(first + 50)] {
                let text = Text::in_block(block.text.len(), line.len());
                block.text.push_str(line);
                let received_at = EventTime::from_secs(1_800_000_000);
                block.records.push(Record { text, source: 0, received_at, flags: Flags(0) });
            }
            Arc::new(block)
        });
        let end_of = EpochEnd {
            epoch,
            next_seq: end as u64,
            received_until: EventTime::from_secs(1_800_000_000),
            ended: Vec::new(),
            sources: 1,
        };
        epochs.push((end_of, blocks.collect()));
        seq = end;
    }
    epochs
}

/// A rule that a few of the lines match, and one that is for no line.
fn rules() -> Arc<Schedule> {
    let rule = |title: &str, source: &str, word: &str| {
        let text = format!(
            "title: {title}\nlogsource: {source}\nlevel: high\ntags: [attack.t1059]\n\
             detection: {{words: ['{word}'], condition: words}}\n"
        );
        operators::sigma::parse(title, text.as_bytes())
    };
    let files = vec![
        rule("something new", "{product: linux, service: sshd}", "that nobody ever did"),
        rule("something else", "{product: windows}", "that nobody ever did"),
    ];
    let options = operators::sigma::Options { placeholders: BTreeMap::new() };
    let (rules, report) = operators::sigma::RuleSet::compile(files, &options);
    assert_eq!((report.rules, report.refused), (2, 0), "{report:?}");
    let window = Span::from_secs(900);
    Arc::new(Schedule::new(Active::new(rules, Vec::new(), window, &BTreeMap::new())))
}

/// What a run says: a line for each event, by sequence number, the alerts by id, what became of
/// them, and what correlations could not count.
type Said = (BTreeMap<u64, String>, BTreeMap<String, Alert>, BTreeMap<u128, String>, Counts);

/// Enough memory for all entities.
const ROOMY: usize = 64 << 20;

/// What is kept between runs.
type State = BTreeMap<StateKey, Vec<u8>>;

/// A run over some epochs, with nothing before and after.
fn run(workers: usize, memory_bytes: usize, epochs: &Arc<Epochs>) -> Said {
    run_from(workers, memory_bytes, epochs, &rules(), &mut State::new())
}

/// A run that goes on from `state`, and leaves there what it knew at its end.
fn run_from(
    workers: usize,
    memory_bytes: usize,
    epochs: &Arc<Epochs>,
    rules: &Arc<Schedule>,
    state: &mut State,
) -> Said {
    let said = Arc::new(Mutex::new(Said::default()));
    let (epochs, all, rules) = (Arc::clone(epochs), Arc::clone(&said), Arc::clone(rules));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (before, after) = (state.clone(), Arc::clone(&kept));
    timely::execute(timely::Config::process(workers), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut input = InputHandle::<u64, _>::new();
        let probe = ProbeHandle::new();
        let store: Rc<dyn Store> = Rc::new(MemoryStore::from(before.clone()));
        let ledger = Rc::new(Ledger::default());
        let said = Arc::clone(&all);
        worker.dataflow(|scope| {
            let hands = input.to_stream(scope).container::<Vec<Hand>>();
            let outputs = detection(hands, &options(memory_bytes), &rules, &store, &ledger);
            let (events, more) = (Arc::clone(&said), Arc::clone(&said));
            outputs
                .reports
                .inspect(move |report| {
                    let (lines, alerts, ..) = &mut *events.lock().unwrap();
                    for ((batch, event), score) in report.share.events().zip(&report.scores) {
                        let entities: Vec<_> = batch.entities(event).iter().map(|e| e.id).collect();
                        let line = format!(
                            "{} {:x} {score} {:?} {entities:?} {:?}",
                            event.time,
                            event.template,
                            event.flags,
                            batch.hits(event).collect::<Vec<_>>()
                        );
                        assert!(lines.insert(event.seq, line).is_none(), "each event once");
                    }
                    alerts.extend(report.alerts.iter().map(|a| (a.id.clone(), a.clone())));
                })
                .probe_with(&probe);
            outputs
                .more
                .inspect(move |(_, one)| {
                    more.lock().unwrap().2.insert(one.id, format!("{one:?}"));
                })
                .probe_with(&probe);
            outputs
                .uncounted
                .inspect(move |(_, counts)| {
                    let all = &mut said.lock().unwrap().3;
                    all.late += counts.late;
                    all.waiting += counts.waiting + counts.full + counts.groups;
                })
                .probe_with(&probe);
        });
        if let Some((last, _)) = epochs.last() {
            ledger.ask(last.epoch, false);
        }
        for (end, blocks) in epochs.iter() {
            let mine = blocks.iter().enumerate().filter(|(i, _)| i % peers == index);
            let blocks = mine.map(|(_, block)| Arc::clone(block)).collect();
            input.advance_to(end.epoch);
            input.send(Hand { end: end.clone(), blocks });
            input.advance_to(end.epoch + 1);
            while probe.less_than(&(end.epoch.saturating_sub(3))) {
                worker.step_or_park(None);
            }
        }
        drop(input);
        while !probe.done() {
            worker.step_or_park(None);
        }
        after.lock().unwrap().extend(ledger.take().into_iter().map(|(_, changes)| changes));
    })
    .expect("workers start");
    let kept: Vec<Changes> = std::mem::take(&mut *kept.lock().expect("no panic"));
    for (key, value) in kept.iter().flat_map(Changes::iter) {
        match value {
            Some(value) => drop(state.insert(key.to_vec(), value.to_vec())),
            None => drop(state.remove(key)),
        }
    }
    Arc::into_inner(said).expect("all workers are done").into_inner().expect("no panic")
}

#[test]
fn one_two_and_three_workers_say_the_same() {
    let lines = lines(20_000);
    let epochs = Arc::new(epochs(&lines));
    let one = run(1, ROOMY, &epochs);
    assert_eq!(one.0.len(), lines.len());
    assert!(one.1.len() > 3, "{} alerts", one.1.len());
    let of_rules: Vec<&Alert> = one.1.values().filter(|alert| alert.kind == "sigma").collect();
    assert!(of_rules.len() > 3, "{} alerts of rules", of_rules.len());
    for alert in of_rules {
        assert_eq!((alert.rule.as_str(), alert.severity), ("something new", Level::High));
        assert_eq!(alert.techniques, ["T1059"]);
        assert_eq!(alert.entity.kind, "host", "{alert:?}");
        let matched = alert.matched.as_ref().expect("what matched");
        assert_eq!(matched["selections"][0]["name"], "words");
    }
    let matched = one.0.values().filter(|line| line.ends_with("[0]")).count();
    assert!((30..100).contains(&matched), "{matched} events match");
    for alert in one.1.values().take(6) {
        println!("{}", serde_json::to_string_pretty(alert).expect("plain data"));
    }
    println!("{} alerts, {} incidents went on", one.1.len(), one.2.len());
    for workers in [2, 3] {
        let many = run(workers, ROOMY, &epochs);
        assert!(one.0 == many.0, "events differ with {workers} workers");
        assert_eq!(one.1, many.1, "with {workers} workers");
        assert_eq!(one.2, many.2, "with {workers} workers");
    }
}

#[test]
fn entities_that_do_not_fit_into_memory_say_the_same() {
    let epochs = Arc::new(epochs(&lines(5_000)));
    let roomy = run(1, ROOMY, &epochs);
    for workers in [1, 2] {
        let tight = run(workers, 4 << 10, &epochs);
        assert!(roomy.0 == tight.0, "events differ on {workers} workers");
        assert_eq!(roomy.1, tight.1);
        assert_eq!(roomy.2, tight.2);
    }
}
