//! `rules coverage`: which of ATT&CK's tactics and techniques rules are about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use operators::sigma::finding::attack;
use operators::types::Level;
use serde_json::{Value, json};

use super::choice::{Choice, Item};
use super::list;
use crate::cli::args::{Global, RulesCoverageArgs};
use crate::cli::exit::Exit;
use crate::cli::numbers::{counted, grouped};
use crate::cli::style::Palette;
use crate::cli::{Failure, Outcome, configuration_of_rules, print};
use crate::rules::files::Want;

/// The tactics in the order of the matrix.
const TACTICS: [&str; 15] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];
/// In place of a tactic or a technique that no tag names.
const NONE: &str = "-";
/// Titles beyond these are counted in the comment of a technique.
const TITLES_MAX: usize = 50;

/// The rules about something.
#[derive(Clone, Default)]
struct Cell {
    rules: u64,
    /// By level.
    levels: [u64; 5],
    titles: Vec<String>,
}

impl Cell {
    fn add(&mut self, item: Item<'_>) {
        self.rules += 1;
        self.levels[item.meta().level() as usize] += 1;
        self.titles.push(item.meta().title.clone());
    }

    /// The levels that there are, the worst first.
    fn levels(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let levels = Level::ALL.into_iter().map(Level::name).zip(self.levels);
        levels.rev().filter(|(_, count)| *count > 0)
    }
}

#[derive(Default)]
struct Coverage {
    rules: u64,
    untagged: u64,
    /// By the tactic's place and name, and by technique.
    cells: BTreeMap<(usize, String), BTreeMap<String, Cell>>,
    techniques: BTreeMap<String, Cell>,
    /// How many rules are about a tactic, whatever their techniques.
    tactics: BTreeMap<String, u64>,
}

impl Coverage {
    fn of(items: &[Item<'_>]) -> Self {
        let mut coverage = Coverage::default();
        for item in items {
            coverage.rules += 1;
            let (mut tactics, mut techniques) = attack(&item.meta().tags);
            for technique in &techniques {
                coverage.techniques.entry(technique.clone()).or_default().add(*item);
            }
            if tactics.is_empty() && techniques.is_empty() {
                coverage.untagged += 1;
                continue;
            }
            for list in [&mut tactics, &mut techniques] {
                if list.is_empty() {
                    list.push(NONE.to_owned());
                }
            }
            for tactic in tactics {
                *coverage.tactics.entry(tactic.clone()).or_default() += 1;
                let place = TACTICS.iter().position(|known| *known == tactic);
                let row = coverage.cells.entry((place.unwrap_or(TACTICS.len()), tactic));
                let row = row.or_default();
                for technique in &techniques {
                    row.entry(technique.clone()).or_default().add(*item);
                }
            }
        }
        coverage
    }
}

pub(super) fn coverage(global: &Global, args: &RulesCoverageArgs) -> Outcome {
    let loaded = configuration_of_rules(global, Vec::new())?;
    let choice = Choice::of(&loaded.settings, &args.filter.rules, Want::Rules)?;
    let items = choice.filtered(&args.filter);
    let coverage = Coverage::of(&items);
    match args.navigator.as_deref() {
        Some(path) if path == Path::new("-") => {
            print(&layer(&coverage))?;
            list::tell_missing(global, &choice, items.len())?;
            return Ok(Exit::Ok);
        }
        Some(path) => std::fs::write(path, layer(&coverage)).map_err(|error| {
            let what = format!("cannot write `{}`: {error}", path.display());
            Failure::new(Exit::Io, what)
        })?,
        None => {}
    }
    let text = match args.json {
        true => format!("{}\n", to_json(&coverage)),
        false => table(&coverage, Palette::stdout(global.color)),
    };
    print(&text)?;
    list::tell_missing(global, &choice, items.len())?;
    Ok(Exit::Ok)
}

fn to_json(coverage: &Coverage) -> Value {
    let tactics = coverage.cells.iter().map(|((_, tactic), row)| {
        let techniques = row.iter().map(|(technique, cell)| {
            let levels: serde_json::Map<String, Value> =
                cell.levels().map(|(level, count)| (level.to_owned(), json!(count))).collect();
            json!({
                "technique": (technique != NONE).then_some(technique),
                "rules": cell.rules,
                "levels": levels,
                "titles": cell.titles,
            })
        });
        json!({
            "tactic": (tactic != NONE).then_some(tactic),
            "rules": coverage.tactics[tactic],
            "techniques": techniques.collect::<Vec<_>>(),
        })
    });
    json!({
        "rules": coverage.rules,
        "untagged": coverage.untagged,
        "techniques": coverage.techniques.len(),
        "tactics": tactics.collect::<Vec<_>>(),
    })
}

fn table(coverage: &Coverage, palette: Palette) -> String {
    let mut text = String::new();
    for ((_, tactic), row) in &coverage.cells {
        let name = if tactic == NONE { "no tactic" } else { tactic };
        let rules = counted(coverage.tactics[tactic], "rule");
        text.push_str(&format!("{}  {}\n", palette.strong(name), palette.faint(rules)));
        for (technique, cell) in row {
            let name = if technique == NONE { "no technique" } else { technique };
            let levels = cell.levels().map(|(level, count)| {
                palette.level(level, format!("{level} {}", grouped(count))).to_string()
            });
            text.push_str(&format!(
                "  {name:<12}  {:>6}  {}\n",
                grouped(cell.rules),
                levels.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    let named = |(_, name): &&(usize, String)| name != NONE;
    let tactics = coverage.cells.keys().filter(named).count();
    text.push_str(&format!(
        "{}: {} of {} tactics, {}; {} without a tag of ATT&CK\n",
        counted(coverage.rules, "rule"),
        tactics,
        TACTICS.len(),
        counted(coverage.techniques.len() as u64, "technique"),
        grouped(coverage.untagged),
    ));
    text
}

/// A layer of the ATT&CK Navigator, format 4.5. A technique's score is the number of its rules.
fn layer(coverage: &Coverage) -> String {
    // Without its parent a sub-technique would be folded away.
    let parents: BTreeSet<&str> =
        coverage.techniques.keys().filter_map(|id| Some(id.split_once('.')?.0)).collect();
    let ids: BTreeSet<&str> =
        coverage.techniques.keys().map(String::as_str).chain(parents.iter().copied()).collect();
    let techniques = ids.into_iter().map(|id| {
        let mut object = json!({ "techniqueID": id, "enabled": true });
        if parents.contains(id) {
            object["showSubtechniques"] = json!(true);
        }
        if let Some(cell) = coverage.techniques.get(id) {
            let mut titles = cell.titles.clone();
            let more = titles.len().saturating_sub(TITLES_MAX);
            titles.truncate(TITLES_MAX);
            if more > 0 {
                titles.push(format!("and {more} more"));
            }
            object["score"] = json!(cell.rules);
            object["comment"] = json!(titles.join("\n"));
        }
        object
    });
    let techniques: Vec<Value> = techniques.collect();
    let most = coverage.techniques.values().map(|cell| cell.rules).max().unwrap_or(1);
    let layer = json!({
        "name": "seerflow-dataflow",
        "versions": { "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": format!("{} Sigma rules", coverage.rules),
        "sorting": 3,
        "hideDisabled": false,
        "techniques": techniques,
        "gradient": {
            "colors": ["#fff3c4", "#f29b38", "#b3261e"],
            "minValue": 0,
            "maxValue": most,
        },
    });
    format!("{}\n", serde_json::to_string_pretty(&layer).expect("plain data"))
}
