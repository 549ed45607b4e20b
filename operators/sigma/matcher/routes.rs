//! What is worked out once for each set of views that records have.

use super::super::compile::{FieldId, RuleSet};
use super::super::logsource::View;
use super::super::scan::{Fields, Scan};
use super::seats::Pace;
use crate::types::hash::Map;

/// The most sets of views that a matcher remembers; beyond, it forgets all of them.
const VIEW_SETS_MAX: usize = 1024;

/// What one set of views needs.
#[derive(Debug)]
pub(super) struct Route {
    /// No rule applies.
    pub(super) idle: bool,
    /// The rules that apply, as bits.
    pub(super) applies: Vec<u64>,
    /// The fields that guards of these rules are about.
    pub(super) fields: Fields,
    /// The scans for keywords of these rules; none if they have no keywords.
    pub(super) keywords: Vec<Scan>,
    /// Rules without a guard.
    pub(super) always: Vec<u32>,
    /// Stands for what follows from a value under this route; 0 if that is what its field's scan
    /// says, as under all others without keywords.
    pub(super) scope: u32,
    /// The fields that these rules ask for; `None` if verdicts cannot be taken over.
    pub(super) asked: Option<Fields>,
    /// Stands for this route and no other.
    pub(super) number: u32,
    pub(super) pace: Pace,
}

#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
    known: Map<Vec<View>, usize>,
    last: Option<(Vec<View>, usize)>,
    /// How many routes there have ever been.
    made: u32,
}

impl Routes {
    pub(super) fn find(&mut self, rules: &RuleSet, views: &[View]) -> &mut Route {
        let last = self.last.as_ref().filter(|(known, _)| known == views);
        let number = match last.map(|(_, number)| *number) {
            Some(number) => number,
            None => self.look_up(rules, views),
        };
        &mut self.routes[number]
    }

    fn look_up(&mut self, rules: &RuleSet, views: &[View]) -> usize {
        let number = match self.known.get(views) {
            Some(number) => *number,
            None => {
                if self.routes.len() >= VIEW_SETS_MAX {
                    self.routes.clear();
                    self.known.clear();
                }
                self.made = self.made.checked_add(1).expect("it would take years");
                self.routes.push(Route::new(rules, views, self.made));
                self.known.insert(views.to_vec(), self.routes.len() - 1);
                self.routes.len() - 1
            }
        };
        match &mut self.last {
            Some((known, last)) => {
                known.clear();
                known.extend(views);
                *last = number;
            }
            None => self.last = Some((views.to_vec(), number)),
        }
        number
    }
}

impl Route {
    fn new(rules: &RuleSet, views: &[View], number: u32) -> Self {
        let satisfied = rules.satisfied(views);
        let mut route = Route {
            idle: true,
            applies: vec![0; rules.len().div_ceil(64)],
            fields: Fields::none(rules.field_count()),
            keywords: Vec::new(),
            always: Vec::new(),
            scope: 0,
            asked: None,
            number,
            pace: Pace::default(),
        };
        for (rule, source) in rules.sources.iter().enumerate() {
            if !satisfied[usize::from(*source)] {
                continue;
            }
            let guard = &rules.guards[rule];
            route.idle = false;
            route.applies[rule / 64] |= 1 << (rule % 64);
            guard.fields.iter().for_each(|field| route.fields.add(*field));
            if guard.always {
                route.always.push(rule as u32);
            }
        }
        let applies = (0..rules.len()).filter(|rule| satisfied[usize::from(rules.sources[*rule])]);
        route.keywords = rules.keyword_scans(applies);
        if !route.keywords.is_empty() {
            FieldId::ALL_KEYWORDS.iter().for_each(|field| route.fields.add(*field));
            route.scope = number;
        }
        route.asked = rules.asked_for(&satisfied);
        route
    }
}
