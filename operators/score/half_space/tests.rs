use serde_json::Value;

use super::super::data::{any_split, bench, mutations, numbers, recorded, recorded_json};
use super::super::features::described;
use super::*;

const SMALL: Options =
    Options { dimensions: 2, window: 256, opinion_min: 200, ..Options::MESSAGES };

/// A model with recorded trees: internal nodes in preorder, then leaves.
fn recorded_trees(document: &Value) -> HalfSpace {
    let params = &document["params"];
    let mut model = HalfSpace::new(Options {
        dimensions: document["features"].as_array().unwrap().len(),
        trees: params["n_trees"].as_u64().unwrap() as usize,
        height: params["height"].as_u64().unwrap() as u32,
        window: params["window_size"].as_u64().unwrap(),
        ..Options::MESSAGES
    });
    let nodes = 1 << model.options.height;
    for (tree, splits) in document["trees_preorder_internal"].as_array().unwrap().iter().enumerate()
    {
        let mut stack = vec![1];
        for split in splits.as_array().unwrap() {
            let node: usize = stack.pop().unwrap();
            model.forest.splits[tree * nodes + node] = Split {
                threshold: split[1].as_f64().unwrap() as f32,
                dimension: split[0].as_u64().unwrap() as u32,
            };
            if 2 * node + 1 < nodes {
                stack.extend([2 * node + 1, 2 * node]);
            }
        }
    }
    model
}

/// The score as River has it.
fn river_score(model: &HalfSpace, point: &[f32], sum: Option<u64>) -> f64 {
    let sum = sum.unwrap_or_else(|| model.visit(point, |_| {}));
    let nodes = (1u64 << (model.options.height + 1)) - 1;
    let most = model.options.trees as u64 * model.options.window * nodes;
    if model.reference == 0 { 0.0 } else { 1.0 - sum as f64 / most as f64 }
}

/// A walk where a feature may be missing: then to the child with more points in the latest
/// window, of equals to the left. The nodes of the way down.
fn river_walk(model: &HalfSpace, tree: usize, point: &[f32]) -> Vec<usize> {
    let nodes = 1usize << model.options.height;
    let latest = |node: usize| -> u64 {
        let (mut from, mut to) = (node, node + 1);
        while from < nodes {
            (from, to) = (2 * from, 2 * to);
        }
        let leaves = &model.latest[tree * nodes..][..nodes];
        leaves[from - nodes..to - nodes].iter().map(|count| u64::from(*count)).sum()
    };
    let mut way = vec![1];
    let mut node = 1;
    while node < nodes {
        let split = model.forest.splits[tree * nodes + node];
        let x = point[split.dimension as usize];
        node = match x.is_nan() {
            true => 2 * node + usize::from(latest(2 * node) < latest(2 * node + 1)),
            false => 2 * node + split.side(point),
        };
        way.push(node);
    }
    way
}

#[test]
fn scores_are_those_of_river() {
    for name in ["small", "default", "seerflow_shape"] {
        let Some(document) = recorded_json(&format!("hst/hst_{name}.json")) else { return };
        let mut model = recorded_trees(&document);
        let scores = numbers(&document["scores"]);
        let nodes = 1usize << model.options.height;
        let missing: Vec<(u64, usize)> = document["missing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_u64().unwrap(), (pair[1] == "f1") as usize))
            .collect();
        for (row, (point, expected)) in
            document["X"].as_array().unwrap().iter().zip(&scores).enumerate()
        {
            let mut point: Vec<f32> = numbers(point).iter().map(|x| *x as f32).collect();
            let gone = missing.iter().find(|(at, _)| *at == row as u64);
            if let Some((_, dimension)) = gone {
                point[*dimension] = f32::NAN;
            }
            let mut summary = Summary::default();
            let score = if gone.is_some() {
                let mut sum = 0;
                summary.leaves = vec![0; model.latest.len()];
                summary.points = 1;
                for tree in 0..model.options.trees {
                    let way = river_walk(&model, tree, &point);
                    for (depth, node) in way.iter().enumerate() {
                        let mass = u64::from(model.masses[tree * 2 * nodes + node]);
                        sum += mass << depth;
                        if mass * 10 < model.reference {
                            break;
                        }
                    }
                    summary.leaves[tree * nodes + way.last().unwrap() - nodes] += 1;
                }
                river_score(&model, &point, Some(sum))
            } else {
                model.score_and_learn(&point, &mut summary);
                river_score(&model, &point, None)
            };
            assert!((score - expected).abs() < 1e-12, "{name} row {row}: {score} {expected}");
            model.apply(&summary);
        }
        if let Some(masses) = document["final_r_mass_preorder_all_nodes"].as_array() {
            for (tree, expected) in masses.iter().enumerate() {
                let mut found = Vec::new();
                preorder(&model.masses[tree * 2 * nodes..][..2 * nodes], 1, &mut found);
                assert_eq!(found, numbers(expected));
            }
        }
    }
}

fn preorder(masses: &[u32], node: usize, found: &mut Vec<f64>) {
    if node < masses.len() {
        found.push(f64::from(masses[node]));
        preorder(masses, 2 * node, found);
        preorder(masses, 2 * node + 1, found);
    }
}

/// The area under the ROC curve, ties counted half.
fn roc_auc(mut scored: Vec<(f64, bool)>) -> f64 {
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut at) = (0.0, 0);
    while at < scored.len() {
        let end = at + scored[at..].iter().take_while(|s| s.0 == scored[at].0).count();
        let rank = (at + 1 + end) as f64 / 2.0;
        rank_sum += rank * scored[at..end].iter().filter(|s| s.1).count() as f64;
        at = end;
    }
    let odd = scored.iter().filter(|s| s.1).count() as f64;
    let usual = scored.len() as f64 - odd;
    (rank_sum - odd * (odd + 1.0) / 2.0) / (odd * usual)
}

#[test]
fn the_odd_states_of_a_shuttle_score_higher() {
    let Some(packed) = recorded("bench/river_shuttle.csv.gz") else { return };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text)
        .unwrap();
    let rows: Vec<Vec<f32>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|x| x.parse().unwrap()).collect())
        .collect();
    let mut aucs = Vec::new();
    for seed in 1..=3 {
        let mut model =
            HalfSpace::new(Options { dimensions: 9, window: 250, seed, ..Options::MESSAGES });
        let mut ranges = [(f32::INFINITY, f32::NEG_INFINITY); 9];
        let mut scored = Vec::new();
        for epoch in rows.chunks(50) {
            let mut summary = Summary::default();
            for row in epoch {
                let mut point = [0.5f32; 9];
                for (i, range) in ranges.iter_mut().enumerate() {
                    *range = (range.0.min(row[i]), range.1.max(row[i]));
                    if range.0 < range.1 {
                        point[i] = (row[i] - range.0) / (range.1 - range.0);
                    }
                }
                let score = model.score_and_learn(&point, &mut summary);
                scored.push((score.map_or(-1e9, |s| -f64::from(s.mass)), row[9] == 1.0));
            }
            model.apply(&summary);
        }
        aucs.push(roc_auc(scored));
    }
    println!("shuttle, windows of 250, three seeds: ROC AUC {aucs:.3?}");
    assert!(aucs.iter().all(|auc| *auc >= 0.93), "{aucs:?}");
}

/// Points about (0.5, 0.5).
fn usual(random: &mut Random) -> [f32; 2] {
    [0; 2].map(|_| (0.4 + 0.2 * (random.unit() + random.unit()) / 2.0) as f32)
}

fn learned(options: Options, n: usize) -> HalfSpace {
    let mut random = Random::new(3);
    let mut model = HalfSpace::new(options);
    for _ in 0..n / 100 {
        let mut summary = Summary::default();
        for _ in 0..100 {
            model.score_and_learn(&usual(&mut random), &mut summary);
        }
        model.apply(&summary);
    }
    model
}

#[test]
fn a_far_point_is_odd_and_its_dimension_is_named() {
    let model = learned(SMALL, 5_000);
    let p = |point: [f32; 2]| model.opinion(model.score(&point).unwrap()).unwrap().p();
    assert!(p([0.5, 0.5]) > 0.1);
    assert!(p([0.5, 0.99]) < 1e-3 && p([0.01, 0.5]) < 1e-3);
    assert_eq!(model.isolating(&[0.5, 0.99])[0], 1);
    assert_eq!(model.isolating(&[0.01, 0.5])[0], 0);
    let names = || [described(0, 143.0), described(3, 0.613)];
    assert_eq!(
        sentence(names(), Opinion::new(1e-3), true),
        "message length (143 bytes) and digit share (61.3 %) are unlike those of 99.9 % of this \
         template's messages"
    );
    assert_eq!(
        sentence([names()[0].clone(), names()[0].clone()], Opinion::new(2e-2), false),
        "message length (143 bytes) is unlike that of 98 % of all messages"
    );
}

#[test]
fn there_is_no_opinion_before_a_window_was_full_and_enough_ranked() {
    let score = |n| learned(SMALL, n).score(&[0.5, 0.5]);
    assert_eq!(score(200), None);
    assert!(score(300).is_some());
    let young = learned(SMALL, 400);
    assert_eq!(young.opinion(young.score(&[0.1, 0.1]).unwrap()), None);
}

#[test]
fn probabilities_of_usual_points_are_honest() {
    let model = learned(SMALL, 20_000);
    let mut random = Random::new(77);
    for p in [0.1, 0.01] {
        let low = (0..10_000).filter(|_| {
            let score = model.score(&usual(&mut random)).unwrap();
            model.opinion(score).unwrap().p() <= p
        });
        let count = low.count() as f64;
        assert!(count <= 10_000.0 * p * 2.0, "{count} of 10 000 at p <= {p}");
    }
}

#[test]
fn scoring_alone_says_the_same_as_scoring_and_learning() {
    let model = learned(SMALL, 1_000);
    let mut random = Random::new(5);
    for _ in 0..200 {
        let point = [random.unit() as f32, random.unit() as f32];
        assert_eq!(model.score(&point), model.score_and_learn(&point, &mut Summary::default()));
    }
    assert!(model.score(&[f32::NAN, f32::INFINITY]).is_some());
}

#[test]
fn trees_depend_on_their_seed_alone() {
    let forest = |seed| Forest::new(&Options { seed, ..SMALL });
    assert_eq!(forest(1), forest(1));
    assert_ne!(forest(1), forest(2));
    let splits = forest(1).splits;
    let mut hash = 0u64;
    for split in &splits {
        hash = crate::types::hash::mix(hash ^ u64::from(split.threshold.to_bits()));
        assert!((0.0..1.0).contains(&split.threshold));
    }
    assert_eq!(hash, 10_416_244_819_630_203_887, "trees of stored models would no longer fit");
}

#[test]
fn however_an_epoch_is_split_the_model_is_the_same() {
    let options = Options { halve_at: 900, ..SMALL };
    let trees = HalfSpace::new(options);
    any_split(
        30,
        |random| (0..70).map(|_| usual(random)).collect(),
        |summary: &mut Summary, point| {
            trees.score_and_learn(point, summary);
        },
        || HalfSpace::new(options),
        |model, summary| model.apply(&summary),
        |model, out| {
            model.encode(out);
            for point in [[0.1, 0.2], [0.5, 0.5], [0.9, 0.4]] {
                out.put_u32(model.score(&point).map_or(0, |score| score.mass.to_bits()));
            }
        },
    );
}

#[test]
fn a_model_comes_back_as_it_went_and_bad_bytes_are_refused() {
    let options = Options { trees: 3, height: 4, ..SMALL };
    let model = learned(options, 1_000);
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    assert_eq!(HalfSpace::decode(options, &bytes).unwrap(), model);
    let other = Options { seed: 2, ..options };
    assert_eq!(HalfSpace::decode(other, &bytes), Err(Corrupt("trees of another seed")));
    mutations(&bytes, |bytes| {
        if let Ok(mut model) = HalfSpace::decode(options, bytes) {
            let mut summary = Summary::default();
            model.score_and_learn(&[0.5, 0.1], &mut summary);
            model.apply(&summary);
            assert!(model.isolating(&[0.5, 0.1])[0] < 2);
        }
    });
}

#[test]
#[ignore = "a measurement"]
fn bench_half_space() {
    let mut random = Random::new(4);
    let options = Options::MESSAGES;
    let mut model = HalfSpace::new(options);
    let mut point = || -> [f32; 8] {
        std::array::from_fn(|_| (0.2 + 0.6 * random.unit() * random.unit()) as f32)
    };
    let points: Vec<[f32; 8]> = (0..20_000).map(|_| point()).collect();
    for epoch in points.chunks(1_000) {
        let mut summary = Summary::default();
        epoch.iter().for_each(|point| {
            model.score_and_learn(point, &mut summary);
        });
        model.apply(&summary);
    }
    bench("half-space score", &points, |point| f64::from(model.score(point).unwrap().mass));
    let mut summary = Summary::default();
    bench("half-space score and learn", &points, |point| {
        f64::from(model.score_and_learn(point, &mut summary).unwrap().mass)
    });
    let epochs = vec![summary; 200];
    bench("half-space apply", &epochs, |summary| {
        model.apply(summary);
        0.0
    });
}
