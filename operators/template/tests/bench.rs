//! What a line costs. Run with `--ignored --nocapture`, in release.

use super::shared::*;
use crate::template::{Cache, Dictionary, Masked, Options, mask};

/// Nanoseconds for each of `count` calls that `work` makes, the best of several runs.
fn best_of(count: usize, mut work: impl FnMut()) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    let mut run = || {
        let start = std::time::Instant::now();
        work();
        start.elapsed().as_nanos() as f64 / count as f64
    };
    (0..60).map(|_| run()).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a bench"]
fn bench_mask_and_find_on_the_contents_of_the_sets() {
    let (mut all, mut dictionary) = (Vec::new(), Dictionary::new(Options::STANDARD));
    let mut line = Masked::default();
    println!("set        bytes  mask  +find  +cached find   (ns per line)");
    let mut report = |set: &str, contents: &[String], dictionary: &Dictionary| {
        let bytes = contents.iter().map(String::len).sum::<usize>() / contents.len();
        let mut sum = 0;
        let masking = best_of(contents.len(), || {
            for content in contents {
                mask(content, &mut line);
                sum ^= line.key();
            }
        });
        let finding = best_of(contents.len(), || {
            for content in contents {
                mask(content, &mut line);
                sum ^= dictionary.find(&line).map_or(0, |id| id.0);
            }
        });
        let mut cache = Cache::default();
        let caching = best_of(contents.len(), || {
            for content in contents {
                mask(content, &mut line);
                sum ^= cache.find(dictionary, &line).map_or(0, |id| id.0);
            }
        });
        std::hint::black_box(sum);
        println!("{set:10} {bytes:5} {masking:5.0} {finding:6.0} {caching:6.0}");
    };
    for set in SETS {
        let Some((contents, _)) = labelled(set) else { return };
        all.push((set, contents));
    }
    for round in 0..2 {
        for (_, contents) in &all {
            for (seq, content) in contents.iter().enumerate() {
                let line = masked(content);
                if dictionary.find(&line).is_none() {
                    dictionary.learn(round, seq as u64, content, &line);
                }
            }
        }
    }
    for (set, contents) in &all {
        report(set, contents, &dictionary);
    }
    let together: Vec<String> = all.into_iter().flat_map(|(_, contents)| contents).collect();
    report("together", &together, &dictionary);
}

#[test]
#[ignore = "a bench"]
fn bench_merge_of_unique_lines() {
    let words: Vec<String> = (0..26 * 26 * 26)
        .map(|n: u32| {
            [n / 676, n / 26 % 26, n % 26].map(|c| (b'a' + c as u8) as char).iter().collect()
        })
        .collect();
    let mut dictionary = Dictionary::new(Options::STANDARD);
    let mut chance = Chance(4);
    for epoch in 0..8 {
        let lines: Vec<String> = (0..16_384)
            .map(|_| {
                (0..12)
                    .map(|_| words[chance.below(words.len())].as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let misses: Vec<_> = (epoch * 16_384..)
            .zip(lines)
            .map(|(seq, line)| super::super::Miss { seq, last_seq: seq, count: 1, line })
            .collect();
        #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
        let start = std::time::Instant::now();
        let count = dictionary.merge(epoch, misses).len();
        println!("epoch {epoch}: {} ns per miss", start.elapsed().as_nanos() / count as u128);
    }
}
