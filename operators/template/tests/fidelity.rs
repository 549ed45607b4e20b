//! Against the golden outputs of the known variant, and against the labels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shared::*;
use crate::template::{Options, TemplateId};

fn golden(set: &str) -> Option<Value> {
    let text = data(&format!("detection/drain/universal_{set}.json"))?;
    Some(serde_json::from_str(&text).expect("golden data is JSON"))
}

/// Which lines are together, as the first line of each line's group.
fn partition<T: Ord + Clone>(ids: &[T]) -> Vec<usize> {
    let mut first: BTreeMap<T, usize> = BTreeMap::new();
    ids.iter().enumerate().map(|(at, id)| *first.entry(id.clone()).or_insert(at)).collect()
}

#[test]
fn golden_tokens_are_the_tokens() {
    for set in SETS {
        let (Some((contents, _)), Some(golden)) = (labelled(set), golden(set)) else { return };
        let lines = golden["tokens_first_50"].as_array().expect("a list");
        assert_eq!(lines.len(), 50);
        for (content, wanted) in contents.iter().zip(lines) {
            let wanted: Vec<&str> =
                wanted.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
            assert_eq!(tokens(content), wanted, "{set}: {content}");
        }
    }
}

#[test]
fn line_by_line_the_partition_is_the_golden_one() {
    for set in SETS {
        let (Some((contents, _)), Some(golden)) = (labelled(set), golden(set)) else { return };
        let (ids, replicas) = run(Options::STANDARD, &contents, 1, |_| 0, |_| 1);
        let ids: Vec<TemplateId> = ids.into_iter().map(|id| replicas[0].resolve(id)).collect();
        // Clusters whose templates say the same are one.
        let texts = golden["templates"].as_object().expect("a map");
        let wanted = golden["final_ids"].as_array().expect("a list");
        let wanted: Vec<String> =
            wanted.iter().map(|id| texts[&id.to_string()].to_string()).collect();
        let (ours, theirs) = (partition(&ids), partition(&wanted));
        let odd: Vec<usize> = (0..ids.len()).filter(|at| ours[*at] != theirs[*at]).collect();
        for at in odd.iter().take(20) {
            println!("{set} {at}: {} | ours like {} | {}", contents[*at], ours[*at], wanted[*at]);
            println!("   {:?}", replicas[0].get(ids[*at]).map(|t| &t.text));
        }
        println!("{set} odd {}", odd.len());
    }
}

#[test]
fn mean_grouping_accuracy_is_above_95_percent_line_by_line_and_by_epochs() {
    for (name, cut) in [("line by line", (|_| 1) as fn(u64) -> u64), ("epochs", engine_cut)] {
        let mut sum = 0.0;
        for set in SETS {
            let Some((contents, groups)) = labelled(set) else { return };
            let (ids, replicas) = run(Options::STANDARD, &contents, 1, |_| 0, cut);
            let ids: Vec<TemplateId> = ids.into_iter().map(|id| replicas[0].resolve(id)).collect();
            let accuracy = grouping_accuracy(&groups, &ids);
            println!("{name:12} {set:10} {accuracy:.4} {} templates", replicas[0].len());
            sum += accuracy;
        }
        println!("{name:12} mean {:.4}", sum / 8.0);
        assert!(sum / 8.0 >= 0.95, "{name}: {}", sum / 8.0);
    }
}
