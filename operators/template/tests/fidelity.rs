//! Against the golden outputs of the known variant, and against the labels.
//!
//! Mean grouping accuracy over the eight sets, by setting (line by line and by epochs alike):
//!
//! | late_wildcard | late_value 1, late_name as late_wildcard | late_name 1 | late_value 4 | both |
//! |---|---|---|---|---|
//! | 2, 3 | .959 | .959 | .959 (2), .982 (3) | as before |
//! | 4, 5 | .951 (4 is the golden variant) | .959 | .975 | **.982** (4 is the standard) |
//!
//! All of the difference is on Linux: `session opened for user cyrus` and the like are one
//! template by its labels, and `authentication failure; … user=root` and `user=guest` are two.

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

/// The variant that the golden outputs are of: it knows nothing of keys and names.
const GOLDEN: Options = Options { late_value: 1, late_name: 4, ..Options::STANDARD };

#[test]
fn line_by_line_the_partition_is_the_golden_one_but_for_founders_that_return() {
    let mut returned = 0;
    for set in SETS {
        let (Some((contents, _)), Some(golden)) = (labelled(set), golden(set)) else { return };
        let (ids, replicas) = run(GOLDEN, &contents, 1, |_| 0, |_| 1);
        let dictionary = &replicas[0];
        let ids: Vec<TemplateId> = ids.into_iter().map(|id| dictionary.resolve(id)).collect();
        // Clusters whose templates say the same are one.
        let texts = golden["templates"].as_object().expect("a map");
        let wanted = golden["final_ids"].as_array().expect("a list");
        let wanted: Vec<String> =
            wanted.iter().map(|id| texts[&id.to_string()].to_string()).collect();
        let (ours, theirs) = (partition(&ids), partition(&wanted));
        for at in (0..ids.len()).filter(|at| ours[*at] != theirs[*at]) {
            // The known variant makes a second template for a line that founded the first, once
            // that has become too general to be similar. Here a line keeps its id for ever.
            let founder = masked(&contents[ours[at]]).line(&contents[ours[at]]);
            let line = masked(&contents[at]).line(&contents[at]);
            assert_eq!(line, founder, "{set} line {at}");
            returned += 1;
        }
    }
    assert!(returned <= 20, "{returned} lines");
}

#[test]
fn an_id_as_given_never_spans_two_golden_templates_but_for_founders_that_return() {
    for set in SETS {
        let (Some((contents, _)), Some(golden)) = (labelled(set), golden(set)) else { return };
        let (ids, _) = run(GOLDEN, &contents, 1, |_| 0, |_| 1);
        let mut group: BTreeMap<TemplateId, String> = BTreeMap::new();
        let texts = golden["templates"].as_object().expect("a map");
        let finals = golden["final_ids"].as_array().expect("a list");
        let mut odd = 0;
        for at in 0..ids.len() {
            let text = texts[&finals[at].to_string()].to_string();
            odd += usize::from(*group.entry(ids[at]).or_insert_with(|| text.clone()) != text);
        }
        assert!(odd <= 20, "{set}: {odd}");
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
