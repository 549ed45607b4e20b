//! What rules read of a line, which of them match, and which come near.

use std::sync::Arc;

use operators::sigma::{
    Active, Explanation, Fields, Gravity, LogSource, Near, Record, RuleIndex, RuleSet, Sigma,
    fields,
};
use operators::types::Batch;
use serde_json::{Map, Value, json};

use super::Account;
use crate::cli::escape::escape;
use crate::cli::numbers::counted;
use crate::cli::style::Palette;
use crate::config::settings::Settings;
use crate::rules;
use crate::verbs::rules::{reasons, short, source_json};

/// How many rules that do not match are told.
const NEAR_MAX: usize = 5;

/// The rules of the configuration, for one event at a time.
pub(super) struct Rules {
    sigma: Sigma,
    /// All log sources that there are, and what tells their views apart.
    sources: Vec<LogSource>,
    set: Arc<RuleSet>,
    fields: Fields,
    /// The same with all that stands in.
    names: Fields,
    /// How many documents cannot be used.
    refused: usize,
}

/// What they say of an event.
pub(super) struct Judged {
    views: Vec<LogSource>,
    fields: Vec<(String, String)>,
    /// What stands in for fields that it does not have: their names, and the values.
    stand_ins: Vec<(Vec<String>, Vec<String>)>,
    matched: Vec<Matched>,
    /// Only if none matches.
    /// Each with its log source.
    near: Vec<(Near, String)>,
    asked: usize,
    refused: usize,
}

struct Matched {
    level: &'static str,
    /// Whether only correlations are told of it.
    silent: bool,
    explained: Explanation,
}

impl Rules {
    pub(super) fn load(settings: &Settings) -> Self {
        let loaded = rules::load(settings);
        let errors = loaded.report.diagnostics.iter();
        let refused = errors.filter(|said| said.gravity == Gravity::Error).count();
        let active: Active = loaded.active;
        let sources = fields::log_sources(&active.pipelines);
        let set = Arc::new(RuleSet::of_log_sources(&sources));
        Rules {
            fields: Fields::new(&set, &active.pipelines),
            names: Fields::of_any_rules(&set, &active.pipelines),
            sigma: Sigma::new(&Arc::new(active)),
            sources,
            set,
            refused,
        }
    }

    /// What they say of the only event of a batch.
    pub(super) fn judge(&mut self, batch: &mut Batch) -> Judged {
        let event = batch.events[0];
        self.fields.begin(batch);
        let record = self.fields.record(batch, &event, Record::default());
        let named = named(&record);
        self.names.begin(batch);
        let stand_ins = stand_ins(&self.names.record(batch, &event, Record::default()), &named);
        let has = |source: &&LogSource| record.views().contains(&self.set.view(source));
        let views = self.sources.iter().filter(has).cloned().collect();
        self.sigma.detect(batch);
        let active = Arc::clone(self.sigma.active());
        let hits: Vec<RuleIndex> = batch.hits(&event).map(RuleIndex).collect();
        let mut matched: Vec<Matched> = hits
            .into_iter()
            .map(|rule| Matched {
                level: active.rules.rule(rule).meta.level().name(),
                silent: active.rules.is_silent(rule),
                explained: self.sigma.explain(batch, &event, rule),
            })
            .collect();
        matched.sort_by_key(|one| {
            std::cmp::Reverse(active.rules.rule(one.explained.rule).meta.level())
        });
        let near = match matched.is_empty() {
            true => self.sigma.nearest(batch, &event, NEAR_MAX),
            false => Vec::new(),
        };
        let source = |near: &Near| short(&active.rules.rule(near.explanation.rule).logsource);
        let near = near.into_iter().map(|near| {
            let source = source(&near);
            (near, source)
        });
        let near = near.collect();
        let (asked, refused) = (active.rules.len(), self.refused);
        Judged { views, fields: named, stand_ins, matched, near, asked, refused }
    }
}

/// The fields of a record, each with its value once.
fn named(record: &Record<'_>) -> Vec<(String, String)> {
    let mut buffer = String::new();
    let mut named: Vec<(String, String)> = Vec::with_capacity(record.fields().len());
    for field in record.fields() {
        let value = field.value.text(&mut buffer).unwrap_or("null");
        let pair = (field.name.to_owned(), value.to_owned());
        if !named.contains(&pair) {
            named.push(pair);
        }
    }
    named
}

/// What a record with all that stands in has besides its own fields, by value.
fn stand_ins(record: &Record<'_>, own: &[(String, String)]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in named(record).into_iter().filter(|pair| !own.contains(pair)) {
        match values.last_mut().filter(|(last, _)| *last == name) {
            Some((_, values)) => values.push(value),
            None => values.push((name, vec![value])),
        }
    }
    let mut grouped: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for (name, values) in values {
        match grouped.iter_mut().find(|(_, known)| *known == values) {
            Some((names, _)) => names.push(name),
            None => grouped.push((vec![name], values)),
        }
    }
    grouped
}

impl Judged {
    /// Its part of the object.
    pub(super) fn json(&self, object: &mut Map<String, Value>) {
        let fields = self.fields.iter();
        let fields = fields.map(|(name, value)| json!({ "name": name, "value": value }));
        let stand_ins = self.stand_ins.iter();
        let stand_ins =
            stand_ins.map(|(names, values)| json!({ "names": names, "values": values }));
        let matched = self.matched.iter().map(|one| {
            let mut told = json!(one.explained);
            told["level"] = json!(one.level);
            told["alerts"] = json!(!one.silent);
            told
        });
        let sigma = json!({
            "views": self.views.iter().map(source_json).collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
            "stand_ins": stand_ins.collect::<Vec<_>>(),
            "rules": self.asked,
            "matched": matched.collect::<Vec<_>>(),
            "nearest": self.near.iter().map(|(near, _)| near).collect::<Vec<_>>(),
        });
        object.insert("sigma".to_owned(), sigma);
    }

    /// Its parts for people.
    pub(super) fn human(&self, account: &mut Account, palette: Palette) {
        account.heading("As rules read it");
        if self.views.is_empty() {
            account.row("log source", "none that is known; a pipeline can give it one");
        }
        for view in &self.views {
            account.row("log source", escape(&short(view)));
        }
        for (name, value) in &self.fields {
            account.row(&escape(name), escape(value));
        }
        for (names, values) in &self.stand_ins {
            account.row(
                "stands in",
                format!("{} for {}", escape(&values.join(", ")), names.join(", ")),
            );
        }
        account.heading("Rules");
        for Matched { level, silent, explained } in &self.matched {
            title(account, palette.level(level, level).to_string(), explained, palette);
            for reason in reasons(explained, true, String::new) {
                account.row("", escape(&reason));
            }
            if *silent {
                account.row("", "no alert by itself; a correlation looks at it");
            }
        }
        if !self.matched.is_empty() {
            return;
        }
        account.row("none matches", format!("of {}", counted(self.asked as u64, "rule")));
        if self.refused > 0 {
            let refused = counted(self.refused as u64, "document");
            account.row("", format!("{refused} cannot be used; `rules lint` says why"));
        }
        for (near, source) in &self.near {
            let share = format!("{} % holds", near.share / 10);
            title(account, share, &near.explanation, palette);
            for reason in reasons(&near.explanation, false, || source.clone()) {
                account.row("", escape(&reason));
            }
        }
    }
}

fn title(account: &mut Account, label: String, explained: &Explanation, palette: Palette) {
    let id = escape(explained.id.as_deref().unwrap_or_default()).into_owned();
    let title = palette.strong(escape(&explained.title)).to_string();
    account.row(&label, format_args!("{title}  {}", palette.faint(id)));
}
