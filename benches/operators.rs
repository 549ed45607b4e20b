//! Nanoseconds for a record, of each operator by itself.
//!
//! `cargo bench --bench operators -- [--lines 200000] [--json]`
//!
//! The lines go through all operators, one worker and one thread, epoch by epoch; each epoch of
//! at least [`SAMPLE_MIN`] records is a sample of each operator. What is counted is the time of
//! the thread, so neighbours disturb only the caches. Of the samples, the least says what the
//! operator costs, the median what it usually takes.
//!
//! What stands indented is part of what stands above it, measured by itself.

mod lines;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use operators::alert::{self, Alerts, Told};
use operators::content::Content;
use operators::entity::memory::Detail;
use operators::entity::touch::{Mention, Mentions, Part, Touch, route};
use operators::entity::{Entities, Said, Tick};
use operators::extract::{self, Extractor};
use operators::logic::Stage;
use operators::parse::Parser;
use operators::report::{Mail, NoRules, Reporter};
use operators::score::features::Features;
use operators::score::groups::{self, Open, Ranks};
use operators::score::markov::{Markov, Symbol};
use operators::score::opinion::Opinion;
use operators::state::{MemoryStore, Store};
use operators::template::Templates;
use operators::types::hash::{Map, mix};
use operators::types::{EntityId, EpochEnd, EventTime, Mergeable, Share};
use operators::watermark::Watermark;
use seerflow_dataflow::config::{Sources, load};
use seerflow_dataflow::journal::{Fed, Fsync, Journal, Options};
use seerflow_dataflow::setup;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An epoch with fewer records is warm-up.
const SAMPLE_MIN: usize = 4_096;

/// The operators, in the order of the table.
const ROWS: [&str; 19] = [
    "journal append",
    "parse",
    "extract",
    "watermark",
    "template",
    "  learn",
    "content",
    "  features",
    "  learn",
    "mentions",
    "entity",
    "  window",
    "  rarity",
    "  sequence",
    "  groups",
    "  learn",
    "alert",
    "report",
    "all",
];

/// Samples of nanoseconds for a record, by row.
#[derive(Default)]
struct Samples {
    /// Records of this epoch.
    records: usize,
    rows: BTreeMap<usize, Vec<f64>>,
    whole: f64,
}

impl Samples {
    /// Measures once.
    fn take<T>(&mut self, row: usize, work: impl FnOnce() -> T) -> T {
        let started = thread_time();
        let answer = black_box(work());
        let nanos = (thread_time() - started).as_nanos() as f64 / self.records as f64;
        if self.records >= SAMPLE_MIN {
            self.rows.entry(row).or_default().push(nanos);
            if !matches!(
                ROWS[row],
                "  features" | "  window" | "  rarity" | "  sequence" | "  groups"
            ) {
                self.whole += nanos;
            }
        }
        answer
    }

    fn end(&mut self) {
        if self.records >= SAMPLE_MIN {
            self.rows.entry(ROWS.len() - 1).or_default().push(std::mem::take(&mut self.whole));
        }
    }
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has it").into()
}

/// Merges the summary of the only worker.
fn merge<S: Stage>(stage: &mut S, epoch: u64, summary: S::Summary, out: &mut Vec<S::Out>) {
    stage.merge(epoch, vec![summary], out);
}

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let count = lines::argument("--lines").unwrap_or(300_000);
    let lines = lines::lines(count);
    let fed = lines::fed(&lines);
    let mut samples = Samples::default();
    append(&lines, &mut samples);
    operators(fed, &mut samples);

    let json = std::env::args().any(|argument| argument == "--json");
    let bytes: usize = lines.iter().map(String::len).sum();
    if !json {
        println!("{count} lines of {} bytes, {}", bytes / count, lines::origin());
        println!("{:<16}{:>10}{:>10}   ns per record", "", "least", "median");
    }
    let mut above = "";
    for (row, name) in ROWS.iter().enumerate() {
        let Some(times) = samples.rows.get_mut(&row) else { continue };
        times.sort_by(f64::total_cmp);
        let (least, median) = (times[0], times[times.len() / 2]);
        if !name.starts_with(' ') {
            above = name;
        }
        match json {
            true => {
                let part = name.strip_prefix("  ").map(|part| format!("{above}.{part}"));
                let name = part.as_deref().unwrap_or(name);
                println!(
                    "{}",
                    serde_json::json!({ "what": name, "least_ns": least, "median_ns": median })
                );
            }
            false => println!("{name:<16}{least:>10.0}{median:>10.0}"),
        }
    }
}

/// Appends to a journal on the disk that is not synced.
fn append(lines: &[String], samples: &mut Samples) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { fsync: Fsync::Never, ..Options::usual() };
    let (mut journal, _) = Journal::open(folder.path(), options).expect("a new journal");
    for chunk in lines.chunks(SAMPLE_MIN) {
        let intakes = lines::intakes(chunk);
        samples.records = chunk.len();
        samples.take(0, || {
            for intake in intakes {
                journal.take(intake);
                journal.commit(Duration::ZERO, &mut drop).expect("room on the disk");
            }
        });
        samples.whole = 0.0;
    }
}

fn operators(fed: Vec<Fed>, samples: &mut Samples) {
    let settings = load(&Sources::default()).expect("the defaults are right").settings;
    let options = setup::detection(&settings, 1);
    let store: Rc<dyn Store> = Rc::new(MemoryStore::default());
    let parser = Parser::new(options.parse);
    let mut extractor = Extractor::new(options.extract);
    let mut watermark = Watermark::new(options.watermark, &*store);
    let mut templates = Templates::new(options.template, &*store);
    let mut content = Content::new(options.content, &*store);
    let mut mentions = Mentions::default();
    let mut entities = Entities::new(options.entity.clone(), 0, 1, Rc::clone(&store));
    let mut alerts = Alerts::new(0..operators::types::hash::KEY_GROUPS, &*store);
    let mut reporter = Reporter::new(&options.weights, options.attack.clone(), Rc::new(NoRules));
    let mut parts = Parts::new(&options.entity);

    let mut blocks = Vec::new();
    for one in fed {
        let (epoch, next_seq) = match one {
            Fed::Block(block) => {
                blocks.push(block);
                continue;
            }
            Fed::Control { .. } => continue,
            Fed::EpochEnd { epoch, next_seq, .. } => (epoch, next_seq),
        };
        let blocks = std::mem::take(&mut blocks);
        let end = EpochEnd {
            epoch,
            next_seq,
            received_until: EventTime::from_secs(1_790_000_000),
            ended: Vec::new(),
            sources: 1,
        };
        samples.records = blocks.iter().map(|block| block.records.len()).sum();
        let mut batches: Vec<_> =
            samples.take(1, || blocks.into_iter().map(|block| parser.parse(block)).collect());
        samples.take(2, || batches.iter_mut().for_each(|batch| extractor.extract(batch)));
        let share = Share::new(end, batches);

        let mut shares = Vec::new();
        samples.take(3, || {
            let summary = watermark.close(epoch, vec![share], Vec::new(), &mut shares);
            merge(&mut watermark, epoch, summary, &mut shares);
        });
        let mut out = Vec::new();
        let summary = samples.take(4, || templates.close(epoch, shares, Vec::new(), &mut out));
        samples.take(5, || merge(&mut templates, epoch, summary, &mut out));
        samples.take(7, || features(&out[0]));
        let mut shares = Vec::new();
        let summary = samples.take(6, || content.close(epoch, out, Vec::new(), &mut shares));
        samples.take(8, || merge(&mut content, epoch, summary, &mut shares));
        let share = shares.pop().expect("one share goes in and comes out");

        let mut told = Vec::new();
        samples.take(9, || {
            for (batch, event) in share.events() {
                mentions.of(batch, event, 0, extract::canonical, |_, mention| told.push(mention));
            }
        });
        parts.measure(&told, samples);
        let tick = Tick {
            watermark: share.watermark,
            texts: Arc::clone(&share.texts),
            events: samples.records as u64,
        };
        let mut said = Vec::new();
        let summary = samples.take(10, || entities.close(epoch, vec![tick], told, &mut said));
        samples.take(15, || merge(&mut entities, epoch, summary, &mut said));

        let (mut findings, mut mail) = (Vec::new(), Vec::new());
        for one in said {
            match one {
                Said::Finding(parcel) => findings.extend(parcel.items),
                Said::Evidence(parcel) => mail.extend(
                    parcel
                        .items
                        .iter()
                        .map(|one| Mail::Opinion(one.seq, one.detector, one.surprise.0)),
                ),
                Said::Seen(..) => {}
            }
        }
        let mut told: Vec<Told> = Vec::new();
        let mark: alert::Tick = share.watermark;
        samples.take(16, || alerts.close(epoch, vec![mark], findings, &mut told));
        mail.extend(told.into_iter().filter_map(|told| match told {
            Told::Opened(opened) => Some(Mail::Opened(opened.id, Box::new(opened.finding))),
            Told::More(..) => None,
        }));
        let mut reports = Vec::new();
        samples.take(17, || reporter.close(epoch, vec![share], mail, &mut reports));
        samples.end();
    }
}

fn features(share: &Share) -> u64 {
    let of = |(batch, event): (&operators::types::Batch, &operators::types::Event)| {
        Features::new(batch.text(event.message), 3, 2, event.time, 100).bins().0[2]
    };
    share.events().map(|event| u64::from(of(event))).sum()
}

/// The parts of the entity operator, each on the touches of an epoch.
struct Parts<'o> {
    options: &'o operators::entity::Options,
    details: Map<EntityId, Detail>,
    markov: Markov,
    ranks: Ranks,
    open: Open,
}

impl<'o> Parts<'o> {
    fn new(options: &'o operators::entity::Options) -> Self {
        Parts {
            options,
            details: Map::default(),
            markov: Markov::new(options.sequence),
            ranks: Ranks::new(options.groups.clone()),
            open: Open::default(),
        }
    }

    fn measure(&mut self, mentions: &[Mention], samples: &mut Samples) {
        let touches = mentions.iter().filter_map(|mention| match mention {
            Mention::Touch(touch) => Some(*touch),
            Mention::Name(..) => None,
        });
        let mut touches: Vec<Touch> = touches.collect();
        touches.sort_unstable_by_key(|touch| (touch.entity, touch.seq));
        let mut runs: Vec<(Detail, &[Touch])> = touches
            .chunk_by(|one, other| one.entity == other.entity)
            .map(|run| (self.details.remove(&run[0].entity).unwrap_or_default(), run))
            .collect();
        samples.take(11, || {
            for (detail, run) in &mut runs {
                for touch in *run {
                    detail.window.push(&self.options.window, touch.time, touch.seq);
                }
            }
        });
        samples.take(12, || {
            for (detail, run) in &mut runs {
                for touch in run.iter().filter(|touch| touch.part.has(Part::TEMPLATES)) {
                    black_box(detail.templates.score(&self.options.context, touch.template));
                    detail.templates.learn(&self.options.context, touch.template);
                }
            }
        });
        let mut summary = operators::score::markov::Summary::default();
        samples.take(13, || {
            for (detail, run) in &mut runs {
                for touch in run.iter().filter(|touch| touch.part.has(Part::SEQUENCE)) {
                    let symbol = Symbol::of(touch.template);
                    black_box(self.markov.score(&detail.sequence, symbol));
                    detail.sequence.step(&self.options.sequence, symbol, &mut summary);
                }
            }
        });
        self.markov.apply(&summary);
        let mut closed = groups::Summary::default();
        samples.take(14, || {
            for touch in &touches {
                let opinion = Opinion::new((mix(touch.seq) >> 11) as f64 / (1u64 << 53) as f64);
                let key = mix(route(touch.entity));
                let detector = groups::Detector(0);
                self.open.note(&self.ranks, detector, key, touch.time, opinion, &mut closed);
            }
        });
        let watermark = touches.iter().map(|touch| touch.time).max().unwrap_or(EventTime::MIN);
        self.open.close(&self.ranks, watermark, &mut closed);
        let mut all = groups::Summary::default();
        all.merge(closed);
        self.ranks.apply(all);
        let known = runs.into_iter().map(|(detail, run)| (run[0].entity, detail));
        self.details.extend(known);
    }
}
