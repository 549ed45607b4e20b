//! Which events and alerts are wanted.

use std::collections::BTreeSet;

use operators::extract::{canonical, entity_id};
use operators::template::{Dictionary, TemplateId};
use operators::types::{Alert, Batch, EntityId, Event, EventTime, Kind, Level, Severity};
use regex::Regex;

use crate::cli::Failure;
use crate::cli::args::Reading as ReadingArgs;
use crate::cli::exit::Exit;
use crate::journal::wall_clock;
use crate::storage::events::Found;

/// A span of event time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) since: EventTime,
    pub(super) until: EventTime,
}

impl Range {
    /// As `--since` and `--until` say.
    ///
    /// # Errors
    /// If nothing can be between them.
    pub(super) fn of(args: &ReadingArgs) -> Result<Self, Failure> {
        let now = wall_clock();
        let since = args.since.map_or(EventTime::MIN, |time| time.moment(now));
        let until = args.until.map_or(EventTime::MAX, |time| time.moment(now));
        if since > until {
            let (since, until) = (since.to_rfc3339(), until.to_rfc3339());
            let error = format!("`--since` ({since}) is after `--until` ({until})");
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(Range { since, until })
    }

    /// Whether any moment of `[first, last]` is in it.
    pub(super) fn touches(self, (first, last): (EventTime, EventTime)) -> bool {
        first <= self.until && self.since <= last
    }

    /// Whether a moment is in it.
    pub(super) fn holds(self, time: EventTime) -> bool {
        self.touches((time, time))
    }
}

/// An entity by a name that may be one of several kinds, or by its id.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    /// All that the name may mean.
    pub(super) ids: Vec<EntityId>,
}

impl Entity {
    /// The entity that a UUID names, or those that a name may mean: of every kind, or of `kind`.
    pub(super) fn of(name: &str, kind: Option<Kind>) -> Result<Self, Failure> {
        if let Ok(uuid) = uuid::Uuid::try_parse(name) {
            return Ok(Entity { ids: vec![EntityId(uuid.as_u128())] });
        }
        let mut text = String::new();
        let kinds = Kind::ALL.into_iter().filter(|other| kind.is_none_or(|kind| kind == *other));
        let mut ids: Vec<EntityId> = Vec::new();
        for kind in kinds {
            if canonical(kind, name, &mut text) {
                ids.push(entity_id(kind, &text));
            }
        }
        match (ids.is_empty(), kind) {
            (false, _) => Ok(Entity { ids }),
            (true, Some(kind)) => {
                let error = format!("`{name}` is no name of an entity of kind `{}`", kind.name());
                Err(Failure::new(Exit::Usage, error))
            }
            (true, None) => {
                Err(Failure::new(Exit::Usage, format!("`{name}` is no name of an entity")))
            }
        }
    }

    /// Whether an alert is about it.
    pub(super) fn is_of(&self, alert: &Alert) -> bool {
        let id = uuid::Uuid::try_parse(&alert.entity.id);
        id.is_ok_and(|id| self.ids.contains(&EntityId(id.as_u128())))
    }
}

/// Templates by an id or by what they say, under all ids that they ever had.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    id: Option<TemplateId>,
    ids: BTreeSet<u64>,
}

impl Templates {
    /// What `text` means: 16 hexadecimal digits are an id, all else is a part of templates' text.
    pub(super) fn of(text: &str, dictionary: &Dictionary) -> Self {
        if let Some(id) = template_id(text) {
            let id = dictionary.resolve(id);
            return Templates { id: Some(id), ids: BTreeSet::from([id.0]) };
        }
        let part = Part::of(text);
        let ids = dictionary.iter().filter(|template| part.is_in(&template.text));
        Templates { id: None, ids: ids.map(|template| template.id.0).collect() }
    }

    fn hold(&self, id: u64, dictionary: &Dictionary) -> bool {
        self.ids.contains(&dictionary.resolve(TemplateId(id)).0)
    }
}

/// The template id that a text spells, if it does.
pub(super) fn template_id(text: &str) -> Option<TemplateId> {
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_id.then(|| u64::from_str_radix(text, 16).ok());
    number.flatten().map(TemplateId)
}

/// A part of a text; upper and lower case are the same.
#[derive(Clone, Debug)]
pub(super) struct Part(Regex);

impl Part {
    pub(super) fn of(text: &str) -> Self {
        let pattern = regex::RegexBuilder::new(&regex::escape(text))
            .case_insensitive(true)
            // A text of the largest size that a command line takes.
            .size_limit(1 << 28)
            .build();
        Part(pattern.expect("escaped text is a pattern"))
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    pub(super) fn optional(text: Option<&str>) -> Option<Self> {
        text.map(Part::of)
    }

    fn or_any(part: Option<&Self>, text: &str) -> bool {
        part.is_none_or(|part| part.is_in(text))
    }
}

/// How much of a rule's id there must be.
const PREFIX_MIN: usize = 4;

/// A rule or detector.
#[derive(Clone, Debug)]
pub(super) struct RuleName(pub(super) String);

impl RuleName {
    fn is(&self, id: &str, title: &str) -> bool {
        let same = |name: &str| name.to_lowercase() == self.0.to_lowercase();
        same(id) || same(title) || self.begins(id)
    }

    /// Whether it is enough of the beginning of a rule's id.
    fn begins(&self, id: &str) -> bool {
        let begins = |id: &str| id.to_lowercase().starts_with(&self.0.to_lowercase());
        self.0.len() >= PREFIX_MIN && uuid::Uuid::try_parse(id).is_ok() && begins(id)
    }
}

/// Which events are wanted.
pub(super) struct EventFilter {
    pub(super) range: Range,
    pub(super) entity: Option<Entity>,
    pub(super) kind: Option<Kind>,
    pub(super) templates: Option<Templates>,
    pub(super) source: Option<Part>,
    pub(super) severity: Option<Severity>,
    pub(super) rule: Option<RuleName>,
    /// The events on which alerts of that rule rest.
    pub(super) alerted: BTreeSet<u64>,
    pub(super) grep: Option<Part>,
}

impl EventFilter {
    /// Whether what an event says must be looked at, beside what was found in it.
    pub(super) fn reads(&self) -> bool {
        let EventFilter { kind, source, severity, grep, .. } = self;
        kind.is_some() || source.is_some() || severity.is_some() || grep.is_some()
    }

    /// Whether what was found in an event has to be looked at for more than its time.
    pub(super) fn looks(&self) -> bool {
        self.entity.is_some() || self.templates.is_some() || self.rule.is_some()
    }

    /// Whether what was found in an event is as wanted.
    pub(super) fn takes_found(&self, found: &Found, index: usize, dictionary: &Dictionary) -> bool {
        if !self.range.holds(found.time[index]) {
            return false;
        }
        if let Some(entity) = &self.entity {
            let named = found.entities(index);
            if !entity.ids.iter().any(|id| named.contains(&(id.0 as u64))) {
                return false;
            }
        }
        if let Some(templates) = &self.templates
            && !templates.hold(found.template[index], dictionary)
        {
            return false;
        }
        let seq = found.first_seq + index as u64;
        self.rule.as_ref().is_none_or(|rule| {
            let mut hits = found.hits.iter().filter(|(of, _, _)| *of as usize == index);
            hits.any(|(_, id, title)| rule.is(id, title)) || self.alerted.contains(&seq)
        })
    }

    /// Whether what an event says is as wanted.
    pub(super) fn takes_event(&self, batch: &Batch, event: &Event) -> bool {
        let source = &batch.block.sources[event.source as usize];
        let kind = |kind: Kind| batch.entities(event).iter().any(|entity| entity.kind == kind);
        self.severity.is_none_or(|least| event.severity.is_some_and(|severity| severity >= least))
            && self.kind.is_none_or(kind)
            && Part::or_any(self.grep.as_ref(), batch.text(event.message))
            && (self.source.is_none() || Part::or_any(self.source.as_ref(), &source.to_string()))
    }
}

/// Which alerts are wanted.
pub(super) struct AlertFilter {
    pub(super) range: Range,
    pub(super) entity: Option<Entity>,
    pub(super) kind: Option<Kind>,
    pub(super) templates: Option<Templates>,
    pub(super) template_text: Option<Part>,
    pub(super) source: Option<Part>,
    pub(super) level: Option<Level>,
    pub(super) rule: Option<RuleName>,
    pub(super) grep: Option<Part>,
}

impl AlertFilter {
    /// All alerts.
    pub(super) fn all(range: Range) -> Self {
        AlertFilter {
            range,
            entity: None,
            kind: None,
            templates: None,
            template_text: None,
            source: None,
            level: None,
            rule: None,
            grep: None,
        }
    }

    /// Whether an alert is as wanted; `times` are those of its first and last event.
    pub(super) fn takes(
        &self,
        alert: &Alert,
        times: (EventTime, EventTime),
        dictionary: &Dictionary,
    ) -> bool {
        let template = |templates: &Templates| {
            let id = template_id(&alert.template_id).unwrap_or_default();
            let says = self.template_text.as_ref().filter(|_| templates.id.is_none());
            templates.hold(id.0, dictionary) || says.is_some_and(|part| part.is_in(&alert.template))
        };
        let grep = |part: &Part| {
            [&alert.title, &alert.rule, &alert.message, &alert.entity.value]
                .into_iter()
                .any(|text| part.is_in(text))
        };
        self.range.touches(times)
            && self.level.is_none_or(|least| alert.severity >= least)
            && self.entity.as_ref().is_none_or(|entity| entity.is_of(alert))
            && self.kind.is_none_or(|kind| alert.entity.kind == kind.name())
            && self.rule.as_ref().is_none_or(|rule| rule.is(&alert.rule, &alert.title))
            && Part::or_any(self.source.as_ref(), &alert.source)
            && self.templates.as_ref().is_none_or(template)
            && self.grep.as_ref().is_none_or(grep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_an_entity_of_every_kind_that_it_can_be() {
        let kinds = |name: &str, kind| Entity::of(name, kind).map(|entity| entity.ids.len());
        assert_eq!(kinds("203.0.113.7", None).ok(), Some(6));
        assert_eq!(kinds("web-01", None).ok(), Some(5), "it is no address");
        assert_eq!(kinds("web-01", Some(Kind::Host)).ok(), Some(1));
        assert_eq!(kinds("82feccae-4dec-52cb-98dc-5192a014d769", None).ok(), Some(1));
        assert_eq!(
            Entity::of("WEB-01.", Some(Kind::Host)).unwrap().ids,
            Entity::of("82feccae-4dec-52cb-98dc-5192a014d769", None).unwrap().ids
        );
        assert_eq!(kinds("web-01", Some(Kind::Ip)).unwrap_err().exit, Exit::Usage);
        assert_eq!(kinds(" ", None).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_range_holds_its_ends() {
        let range = Range { since: EventTime(5), until: EventTime(7) };
        let held: Vec<i64> = (0..10).filter(|time| range.holds(EventTime(*time))).collect();
        assert_eq!(held, [5, 6, 7]);
        assert!(range.touches((EventTime(0), EventTime(5))));
        assert!(!range.touches((EventTime(8), EventTime(9))));
    }

    #[test]
    fn only_sixteen_digits_are_an_id() {
        assert_eq!(template_id("00000000000000ff"), Some(TemplateId(255)));
        for text in ["ff", "00000000000000fg", "+0000000000000ff", "00000000000000fff"] {
            assert_eq!(template_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_is_taken_as_it_stands() {
        assert!(Part::of("a.c*").is_in("xA.C*x"));
        assert!(!Part::of("a.c").is_in("abc"));
        assert!(Part::of("ÜBER").is_in("über uns"));
    }
}
