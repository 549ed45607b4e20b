//! What the tests of all models need: recorded data, splits of an epoch, mutated bytes, a clock.

use std::hint::black_box;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::random::Random;
use crate::types::Mergeable;

/// The bytes of a recorded file, or `None` with a line that says what is not there.
///
/// Recorded data lie beside the repository, or where `SEERFLOW_SHARED` says.
#[expect(clippy::disallowed_methods, reason = "a test is told by the environment where data lie")]
pub(crate) fn recorded(path: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var("SEERFLOW_SHARED").map_or(beside, PathBuf::from);
    let file = shared.join("data/detection").join(path);
    let bytes = std::fs::read(&file).ok();
    if bytes.is_none() {
        println!("skipped: no recorded data at {}", file.display());
    }
    bytes
}

/// A recorded JSON document.
pub(crate) fn recorded_json(path: &str) -> Option<Value> {
    recorded(path).map(|bytes| serde_json::from_slice(&bytes).expect("recorded JSON is JSON"))
}

/// The numbers of a JSON array; what is no number is NaN.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("an array of numbers").iter();
    numbers.map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Deals each of `epochs` epochs to one to four workers in any way, merges their summaries in any
/// order, and checks that what is shown of the models is always the same to the bit.
pub(crate) fn any_split<S, E, M>(
    epochs: usize,
    mut epoch: impl FnMut(&mut Random) -> Vec<E>,
    see: impl Fn(&mut S, &E),
    model: impl Fn() -> M,
    apply: impl Fn(&mut M, S),
    show: impl Fn(&M, &mut Vec<u8>),
) where
    S: Mergeable + Serialize + DeserializeOwned,
{
    let mut random = Random::new(11);
    let history: Vec<Vec<E>> = (0..epochs).map(|_| epoch(&mut random)).collect();
    let mut expected: Option<Vec<Vec<u8>>> = None;
    for workers in [1, 1, 2, 2, 3, 3, 4, 4, 4] {
        let mut model = model();
        let mut shown = Vec::new();
        for events in &history {
            let mut parts: Vec<S> = (0..workers).map(|_| S::default()).collect();
            for event in events {
                see(&mut parts[random.below(workers) as usize], event);
            }
            let mut whole = S::default();
            while !parts.is_empty() {
                let part = parts.swap_remove(random.below(parts.len() as u64) as usize);
                let wire = serde_json::to_vec(&part).unwrap();
                whole.merge(serde_json::from_slice(&wire).unwrap());
            }
            apply(&mut model, whole);
            let mut bytes = Vec::new();
            show(&model, &mut bytes);
            shown.push(bytes);
        }
        match &expected {
            None => expected = Some(shown),
            Some(expected) => assert!(*expected == shown, "{workers} workers say something else"),
        }
    }
}

/// Shows `decode` mutations of `bytes`: cut, flipped, and random.
pub(crate) fn mutations(bytes: &[u8], decode: impl Fn(&[u8])) {
    let mut random = Random::new(13);
    for cut in 0..bytes.len().min(300) {
        decode(&bytes[..cut]);
    }
    for _ in 0..300 {
        let mut mutated = bytes.to_vec();
        for _ in 0..1 + random.below(4) {
            let at = random.below(mutated.len() as u64) as usize;
            mutated[at] = random.bits() as u8;
        }
        decode(&mutated);
    }
}

/// Prints the time for each of `items`: of five rounds in pieces of 500, the tenth fastest in a
/// hundred, so that other work on the machine does not count.
pub(crate) fn bench<T>(name: &str, items: &[T], mut each: impl FnMut(&T) -> f64) {
    #[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
    let now = std::time::Instant::now;
    let mut times = Vec::new();
    for _ in 0..5 {
        for piece in items.chunks(500) {
            let start = now();
            let mut sum = 0.0;
            for item in piece {
                sum += each(item);
            }
            black_box(sum);
            times.push(start.elapsed().as_nanos() as f64 / piece.len() as f64);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    println!("{name}: {:.1} ns", times[times.len() / 10]);
}
