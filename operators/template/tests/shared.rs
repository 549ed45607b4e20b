//! What the tests share: data that is not part of the project, a measure, numbers by chance.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::template::{Cache, Dictionary, Masked, Misses, Options, TemplateId, Usage, mask};

/// The eight sets.
pub(super) const SETS: [&str; 8] =
    ["Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenSSH", "Proxifier", "Windows"];

/// A file of the data folder, or `None` and a line that says so.
pub(super) fn data(path: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test may ask where its data is")]
    let folder = match std::env::var("SEERFLOW_SHARED") {
        Ok(folder) => PathBuf::from(folder),
        Err(_) => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
    };
    let file = folder.join("data").join(path);
    match std::fs::read(&file) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => {
            println!("skipped: no {}", file.display());
            None
        }
    }
}

/// The contents of a set, and the true group of each.
pub(super) fn labelled(set: &str) -> Option<(Vec<String>, Vec<String>)> {
    let text = data(&format!("loghub/{set}_2k.log_structured.csv"))?;
    let mut rows = csv(&text).into_iter();
    let header = rows.next().expect("a table has a header");
    let column = |name: &str| header.iter().position(|field| field == name).expect("known column");
    let (content, group) = (column("Content"), column("EventId"));
    Some(rows.map(|mut row| (std::mem::take(&mut row[content]), row[group].clone())).unzip())
}

fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            character => field.push(character),
        }
    }
    rows
}

/// Grouping accuracy: the share of lines whose group is exactly a true group.
pub(super) fn grouping_accuracy<T: Ord, P: Ord>(truth: &[T], found: &[P]) -> f64 {
    let mut true_size: BTreeMap<&T, usize> = BTreeMap::new();
    truth.iter().for_each(|group| *true_size.entry(group).or_default() += 1);
    let mut groups: BTreeMap<&P, Vec<&T>> = BTreeMap::new();
    found.iter().zip(truth).for_each(|(id, group)| groups.entry(id).or_default().push(group));
    let right = groups.values().filter(|group| {
        group.iter().all(|truth| *truth == group[0]) && group.len() == true_size[group[0]]
    });
    right.map(Vec::len).sum::<usize>() as f64 / truth.len() as f64
}

/// The masked form of a message.
pub(super) fn masked(message: &str) -> Masked {
    let mut masked = Masked::default();
    mask(message, &mut masked);
    masked
}

/// The tokens of a message.
pub(super) fn tokens(message: &str) -> Vec<String> {
    let masked = masked(message);
    (0..masked.len()).map(|index| masked.token(message, index).to_owned()).collect()
}

/// Where the engine cuts epochs.
pub(super) fn engine_cut(seq: u64) -> u64 {
    (seq / 8).clamp(64, 16_384)
}

/// Runs messages through the protocol with `workers` replicas, message `seq` at the worker that
/// `share` says, epochs cut by `cut`. Returns the ids as given and the replicas.
pub(super) fn run(
    options: Options,
    messages: &[String],
    workers: usize,
    share: impl Fn(u64) -> usize,
    cut: impl Fn(u64) -> u64,
) -> (Vec<TemplateId>, Vec<Dictionary>) {
    let mut replicas = vec![Dictionary::new(options); workers];
    let mut caches = vec![Cache::default(); workers];
    let mut ids = vec![TemplateId::NONE; messages.len()];
    let (mut first, mut epoch) = (0, 0);
    let mut line = Masked::default();
    while first < messages.len() as u64 {
        let end = (first + cut(first)).min(messages.len() as u64);
        let mut misses = vec![Misses::default(); workers];
        let mut usages = vec![Usage::default(); workers];
        for seq in first..end {
            let (worker, message) = (share(seq) % workers, messages[seq as usize].as_str());
            mask(message, &mut line);
            match caches[worker].find(&replicas[worker], &line) {
                Some(id) => {
                    usages[worker].push(id, seq);
                    ids[seq as usize] = id;
                }
                None => misses[worker].push(seq, message, &line),
            }
        }
        for (worker, replica) in replicas.iter_mut().enumerate() {
            // Others' misses arrive in no particular order.
            for other in 0..workers {
                replica.used(epoch, &usages[(worker + other) % workers]);
            }
            let all = (0..workers).flat_map(|other| misses[(worker + other) % workers].lines());
            let told = replica.merge(epoch, all.cloned().collect());
            for (seq, id) in misses[worker].answers(&told) {
                ids[seq as usize] = id;
            }
        }
        (first, epoch) = (end, epoch + 1);
    }
    (ids, replicas)
}

/// Numbers as if by chance (SplitMix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::types::hash::mix(self.0)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
