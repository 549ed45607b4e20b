//! Which rules the command line means.
//!
//! Paths stand for all rules in them, anything else for rules of the configuration; without
//! either, all rules of the configuration are meant. A correlation among files may refer to rules
//! of the configuration: those are there, too, but they are not meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use operators::sigma::compile::Resolved;
use operators::sigma::correlation::Target;
use operators::sigma::rule::Meta;
use operators::sigma::{Document, LogSource, Parsed, Pos, Rule, RuleIndex};

use crate::cli::Failure;
use crate::cli::args::{RuleKind, RulesFilter};
use crate::cli::exit::Exit;
use crate::config::settings::Settings;
use crate::rules::files::{Files, Want, can_hold_rules};
use crate::rules::{self, Loaded, meta};

/// How many rules are named if a name means several.
const NAMED_MAX: usize = 5;
/// How much of an id there must be.
const PREFIX_MIN: usize = 4;

/// A document by its place.
type Place = (Arc<str>, Pos);

/// The rules that are meant, ready for use.
pub(super) struct Choice {
    /// The files that were read.
    pub(super) files: Files,
    /// How many files of rules those are that are meant, or are referred to.
    pub(super) file_count: usize,
    /// The rules, and those that they refer to.
    pub(super) loaded: Loaded,
    meant: BTreeSet<Place>,
}

/// A rule that is meant.
#[derive(Clone, Copy)]
pub(super) enum Item<'c> {
    /// One that looks at one event.
    Rule(RuleIndex, &'c Rule),
    /// One that looks at what others match.
    Correlation(&'c Resolved),
}

impl<'c> Item<'c> {
    pub(super) fn meta(self) -> &'c Meta {
        match self {
            Item::Rule(_, rule) => &rule.meta,
            Item::Correlation(resolved) => &resolved.correlation.meta,
        }
    }

    pub(super) fn kind(self) -> RuleKind {
        match self {
            Item::Rule(..) => RuleKind::Rule,
            Item::Correlation(_) => RuleKind::Correlation,
        }
    }

    pub(super) fn logsource(self) -> Option<&'c LogSource> {
        match self {
            Item::Rule(_, rule) => Some(&rule.logsource),
            Item::Correlation(_) => None,
        }
    }
}

impl Choice {
    /// Reads what is meant. All documents of the files that are named are meant.
    ///
    /// # Errors
    /// If a file is not there, or a name means no rule of the configuration, or several.
    pub(super) fn of(settings: &Settings, wanted: &[String], want: Want) -> Result<Self, Failure> {
        if wanted.is_empty() {
            let mut files = Files::configured(settings, want);
            let parsed = files.parse();
            let meant = places(&parsed);
            let unreadable = std::mem::take(&mut files.unreadable);
            let loaded = rules::compile(parsed, unreadable, settings);
            let file_count = files.rules.len();
            return Ok(Choice { files, file_count, loaded, meant });
        }
        let (paths, names) = split(wanted)?;
        let mut files = Files::at(&paths, want);
        let mut parsed = files.parse();
        let mut meant = places(&parsed);
        let named: BTreeSet<Arc<str>> =
            files.rules.iter().map(|(name, _)| Arc::from(&**name)).collect();
        let mut others_named: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut file_count = files.rules.len();
        let mut needed = unknown(&parsed);
        if !names.is_empty() || !needed.is_empty() {
            let configured = Files::configured(settings, want);
            let mut others = configured.parse();
            let mut kept = BTreeSet::new();
            for name in &names {
                kept.extend(find(&others, name)?);
            }
            if want == Want::Cases {
                // Cases are about all rules of their file.
                let files: BTreeSet<Arc<str>> = kept.iter().map(|(file, _)| file.clone()).collect();
                kept.extend(places(&others).into_iter().filter(|place| files.contains(&place.0)));
            }
            meant.extend(kept.iter().cloned());
            let documents = |parsed: &[Parsed], kept: &BTreeSet<Place>| -> Vec<Document> {
                let all = parsed.iter().flat_map(|file| &file.documents);
                all.filter(|document| kept.contains(&place(document))).cloned().collect()
            };
            needed.extend(documents(&others, &kept).iter().flat_map(references));
            // What is referred to may itself refer to others.
            while let Some(reference) = needed.pop() {
                for document in others.iter().flat_map(|file| &file.documents) {
                    if meta(document).is_called(&reference) && kept.insert(place(document)) {
                        needed.extend(references(document));
                    }
                }
            }
            let more: BTreeSet<&str> = kept.iter().map(|(file, _)| &**file).collect();
            file_count += more.into_iter().filter(|file| !named.contains(*file)).count();
            for file in &mut others {
                file.diagnostics.clear();
                file.documents.retain(|document| {
                    let (file, at) = place(document);
                    let is_filter = matches!(document, Document::Filter(_));
                    !named.contains(&file) && (is_filter || kept.contains(&(file, at)))
                });
            }
            parsed.extend(others);
            others_named.extend(configured.rules.iter().map(|(name, _)| Arc::from(&**name)));
            files.rules.extend(configured.rules);
            files.cases.extend(configured.cases);
        }
        let unreadable = std::mem::take(&mut files.unreadable);
        let mut loaded = rules::compile(parsed, unreadable, settings);
        loaded
            .report
            .diagnostics
            .retain(|said| named.contains(&said.file) || !others_named.contains(&said.file));
        Ok(Choice { files, file_count, loaded, meant })
    }

    /// The rules that are meant and can be used, in the order of their files.
    pub(super) fn items(&self) -> Vec<Item<'_>> {
        let set = &self.loaded.active.rules;
        let rules = (0..).map(RuleIndex).zip(set.rules());
        let rules = rules.map(|(index, rule)| Item::Rule(index, rule));
        let correlations = set.correlations().iter().map(Item::Correlation);
        let is_meant = |item: &Item<'_>| {
            let meta = item.meta();
            self.meant.contains(&(Arc::clone(&meta.file), meta.at))
        };
        let mut items: Vec<Item<'_>> = rules.chain(correlations).filter(is_meant).collect();
        // Stable: of one file in the order in which they stand there.
        items.sort_by(|a, b| (&a.meta().file, a.meta().at).cmp(&(&b.meta().file, b.meta().at)));
        items
    }

    /// Those of [`items`](Self::items) that a filter takes.
    pub(super) fn filtered(&self, filter: &RulesFilter) -> Vec<Item<'_>> {
        let mut items = self.items();
        items.retain(|item| self.takes(filter, *item));
        items
    }

    fn takes(&self, filter: &RulesFilter, item: Item<'_>) -> bool {
        let meta = item.meta();
        filter.level.is_none_or(|least| meta.level() >= least)
            && filter.kind.is_none_or(|kind| kind == item.kind())
            && filter.tag.as_deref().is_none_or(|tag| has_tag(meta, tag))
            && filter.product.as_deref().is_none_or(|product| self.is_for(item, product))
            && filter.grep.as_deref().is_none_or(|text| {
                let text = text.to_lowercase();
                let texts = meta.references_to_it().chain(meta.tags.iter().map(String::as_str));
                let mut texts = texts.chain([meta.title.as_str(), &*meta.file]);
                texts.any(|own| own.to_lowercase().contains(&text))
            })
    }

    /// Whether a rule, or one that a correlation refers to, is for a product.
    fn is_for(&self, item: Item<'_>, product: &str) -> bool {
        let of = |source: &LogSource| {
            source.product.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(product))
        };
        match item {
            Item::Rule(_, rule) => of(&rule.logsource),
            Item::Correlation(resolved) => {
                self.rules_of(resolved).into_iter().any(|rule| of(&rule.logsource))
            }
        }
    }

    /// The rules that a correlation looks at in the end.
    pub(super) fn rules_of(&self, resolved: &Resolved) -> Vec<&Rule> {
        let set = &self.loaded.active.rules;
        let mut rules = Vec::new();
        let mut open: Vec<&Target> = resolved.targets.iter().collect();
        while let Some(target) = open.pop() {
            match target {
                Target::Rule(index) => rules.push(set.rule(RuleIndex(*index))),
                Target::Correlation(index) => {
                    open.extend(&set.correlations()[*index as usize].targets);
                }
            }
        }
        rules.sort_by(|a, b| (&a.meta.file, a.meta.at).cmp(&(&b.meta.file, b.meta.at)));
        rules.dedup_by(|a, b| std::ptr::eq(*a, *b));
        rules
    }
}

/// Whether a rule has a tag, or one below it.
fn has_tag(meta: &Meta, wanted: &str) -> bool {
    let plain = |tag: &str| tag.to_lowercase().replace('_', "-");
    let wanted = plain(wanted);
    meta.tags.iter().map(|tag| plain(tag)).any(|tag| {
        let bare = tag.split_once('.').map_or("", |(_, bare)| bare);
        [tag.as_str(), bare].into_iter().any(|tag| {
            let rest = tag.strip_prefix(&wanted);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    })
}

/// What of the arguments is there as a file or folder, and what must be names.
fn split(wanted: &[String]) -> Result<(Vec<PathBuf>, Vec<&String>), Failure> {
    let (mut paths, mut names) = (Vec::new(), Vec::new());
    for text in wanted {
        let path = Path::new(text);
        if !path.exists() {
            names.push(text);
            continue;
        }
        if path.is_file() && !can_hold_rules(path) {
            let error = format!("`{text}` is no file of rules");
            let hint =
                "rules are in .yml and .yaml files, and in .zip, .tar, .tar.gz, .tar.xz, .tar.zst";
            return Err(Failure::new(Exit::NoInput, error).with_hint(hint));
        }
        paths.push(path.to_owned());
    }
    Ok((paths, names))
}

fn place(document: &Document) -> Place {
    let meta = meta(document);
    (Arc::clone(&meta.file), meta.at)
}

fn places(parsed: &[Parsed]) -> BTreeSet<Place> {
    parsed.iter().flat_map(|file| &file.documents).map(place).collect()
}

fn references(document: &Document) -> Vec<String> {
    match document {
        Document::Correlation(correlation) => {
            correlation.rules.iter().map(|(reference, _)| reference.clone()).collect()
        }
        Document::Rule(_) | Document::Filter(_) => Vec::new(),
    }
}

/// What documents refer to and is not among them.
fn unknown(parsed: &[Parsed]) -> Vec<String> {
    let documents = || parsed.iter().flat_map(|file| &file.documents);
    let known: BTreeSet<&str> =
        documents().flat_map(|document| meta(document).references_to_it()).collect();
    let references = documents().flat_map(references);
    references
        .filter(|one| !known.contains(one.as_str()) && !known.contains(&*one.to_lowercase()))
        .collect()
}

/// The rules that a text means: by id, name, title, file, the beginning of the id, a part of the
/// title or of the file's name; the first of these that fits any.
fn find(parsed: &[Parsed], text: &str) -> Result<Vec<Place>, Failure> {
    let lower = text.to_lowercase();
    let is_rule = |document: &&Document| !matches!(document, Document::Filter(_));
    let documents = || parsed.iter().flat_map(|file| &file.documents).filter(is_rule);
    let places = |fits: &dyn Fn(&Meta) -> bool| -> Vec<&Document> {
        documents().filter(|document| fits(meta(document))).collect()
    };
    let is_file = |own: &Meta| {
        let file = Path::new(&*own.file);
        file.ends_with(text) || file.file_stem().is_some_and(|stem| stem == text)
    };
    let begins = |own: &Meta| {
        lower.len() >= PREFIX_MIN && own.id.as_deref().is_some_and(|id| id.starts_with(&lower))
    };
    let fits: [&dyn Fn(&Meta) -> bool; 5] = [
        &|own| own.is_called(text),
        &|own| own.title.to_lowercase() == lower,
        &is_file,
        &begins,
        &|own| {
            let stem = Path::new(&*own.file).file_stem().map(|stem| stem.to_string_lossy());
            own.title.to_lowercase().contains(&lower)
                || stem.is_some_and(|stem| stem.to_lowercase().contains(&lower))
        },
    ];
    for fits in fits {
        let found = places(fits);
        let files: BTreeSet<&str> = found.iter().map(|document| &*meta(document).file).collect();
        let one_file = files.len() == 1 && found.iter().all(|document| is_file(meta(document)));
        match found.len() {
            0 => {}
            1 => return Ok(vec![place(found[0])]),
            _ if one_file => return Ok(found.into_iter().map(place).collect()),
            count => {
                let titles = found.iter().take(NAMED_MAX).map(|document| {
                    let meta = meta(document);
                    format!("`{}` ({})", meta.title, meta.id.as_deref().unwrap_or(&meta.file))
                });
                let mut titles: Vec<String> = titles.collect();
                if count > NAMED_MAX {
                    titles.push(format!("and {} more", count - NAMED_MAX));
                }
                let error = format!("`{text}` means {count} rules");
                return Err(Failure::new(Exit::Failed, error).with_hint(titles.join(", ")));
            }
        }
    }
    let error = format!("no file and no rule is called `{text}`");
    let hint = "`seerflow-dataflow rules list` lists them; `rules lint` names those that cannot be \
                used";
    Err(Failure::new(Exit::NoInput, error).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tags: &[&str]) -> Meta {
        Meta { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..Meta::default() }
    }

    #[test]
    fn a_tag_is_found_with_and_without_its_namespace_and_by_what_is_above_it() {
        let meta = tagged(&["attack.t1059.001", "attack.credential_access", "cve.2024-1"]);
        for tag in ["t1059", "T1059.001", "attack.t1059", "credential-access", "cve", "2024-1"] {
            assert!(has_tag(&meta, tag), "{tag}");
        }
        for tag in ["t105", "t1059.002", "credential", "access"] {
            assert!(!has_tag(&meta, tag), "{tag}");
        }
    }

    #[test]
    fn a_name_means_the_rule_that_it_fits_best() {
        let rule = |title: &str, id: &str| {
            format!(
                "title: {title}\nid: {id}-0000-4000-8000-000000000000\nlogsource: {{product: x}}\n\
                 detection: {{a: [x], condition: a}}\n"
            )
        };
        let texts = [
            ("d/one.yml", rule("Brute Force", "aaaa1111")),
            ("d/two.yml", rule("Brute Force Of A Door", "aaaa2222")),
            ("d/both.yml", format!("{}---\n{}", rule("C", "cccc1111"), rule("D", "dddd1111"))),
        ];
        let parsed: Vec<Parsed> = texts
            .iter()
            .map(|(name, text)| operators::sigma::parse(name, text.as_bytes()))
            .collect();
        let files = |text: &str| {
            let found = find(&parsed, text).map_err(|failure| failure.error.to_string());
            found.map(|places| places.iter().map(|place| place.0.to_string()).collect::<Vec<_>>())
        };
        for text in ["brute force", "one.yml", "one", "d/one.yml", "aaaa1", "AAAA1111"] {
            assert_eq!(files(text).unwrap(), ["d/one.yml"], "{text}");
        }
        assert_eq!(files("a door").unwrap(), ["d/two.yml"]);
        assert_eq!(files("both").unwrap(), ["d/both.yml", "d/both.yml"]);
        assert_eq!(files("aaaa").unwrap_err(), "`aaaa` means 2 rules");
        assert_eq!(files("brute").unwrap_err(), "`brute` means 2 rules");
        assert_eq!(files("aaa").unwrap_err(), "no file and no rule is called `aaa`");
    }
}
