//! From the tests of a rule to bits and late tests.

use super::condition::Condition;
use super::detection::{Item, Search, Test};
use super::modifier::only_runs;
use super::program::{Builder, Expr, FieldId, Late, LateTest, Literal};
use super::scan::is_scanned;
use super::value::{Glob, Part, Pattern, fold};

/// Option dashes are written out while that makes at most so many texts.
const DASHES_WRITTEN_MAX: usize = 25;

/// Finds or makes the number of a field.
pub(crate) trait Number {
    fn number(&mut self, field: &str) -> FieldId;
}

/// Lowers the rules of a set, one after the other.
pub(crate) struct Lower<'a, N> {
    pub(crate) builder: &'a mut Builder,
    pub(crate) fields: &'a mut N,
}

impl<N: Number> Lower<'_, N> {
    /// A condition over the lowered selections it names; `None` when it would be larger than
    /// `size_max`.
    pub(crate) fn condition(
        &mut self,
        condition: &Condition,
        selections: &[Expr],
        size_max: usize,
    ) -> Option<Expr> {
        let size = |i: usize| selections[i].size();
        (size_of(condition, &size) <= size_max).then(|| self.join(condition, selections))
    }

    fn join(&mut self, condition: &Condition, selections: &[Expr]) -> Expr {
        match condition {
            Condition::Is(i) => selections[*i].clone(),
            Condition::All(parts) => {
                let parts = parts.iter().map(|part| self.join(part, selections)).collect();
                self.builder.all(parts)
            }
            Condition::Any(parts) => {
                let parts = parts.iter().map(|part| self.join(part, selections)).collect();
                self.builder.any(parts)
            }
            Condition::AtLeast(n, parts) => {
                let parts = parts.iter().map(|part| self.join(part, selections)).collect();
                Expr::AtLeast(*n, parts)
            }
            Condition::Not(part) => Expr::Not(Box::new(self.join(part, selections))),
        }
    }

    pub(crate) fn search(&mut self, search: &Search) -> Expr {
        match search {
            Search::Item(item) => self.item(item),
            Search::All(parts) => {
                let parts = parts.iter().map(|part| self.search(part)).collect();
                self.builder.all(parts)
            }
            Search::Any(parts) => {
                let parts = parts.iter().map(|part| self.search(part)).collect();
                self.builder.any(parts)
            }
        }
    }

    fn item(&mut self, item: &Item) -> Expr {
        let field = match &item.field {
            Some(field) => self.fields.number(field),
            None => FieldId::KEYWORDS,
        };
        let mut networks = Vec::new();
        let mut parts = Vec::with_capacity(item.values.len());
        for value in &item.values {
            match &value.test {
                // Alternatives of networks are one test: the address is read once.
                Test::Network(network) if !item.all => networks.push(*network),
                test => parts.push(self.test(field, test)),
            }
        }
        if !networks.is_empty() {
            let name = format!("{field:?} networks {networks:?}");
            let test = LateTest::Networks(networks);
            parts.push(self.builder.late(name, |_| Late { field, armed: Vec::new(), test }));
        }
        let joined = match item.all {
            true => self.builder.all(parts),
            false => self.builder.any(parts),
        };
        match item.negated {
            true => Expr::Not(Box::new(joined)),
            false => joined,
        }
    }

    fn test(&mut self, field: FieldId, test: &Test) -> Expr {
        let unarmed = |test| move |_: &mut Builder| Late { field, armed: Vec::new(), test };
        match test {
            Test::Text { pattern, cased: true } => self.cased(field, pattern),
            Test::Text { pattern, cased: false } => {
                match pattern.without_dashes(DASHES_WRITTEN_MAX) {
                    None => self.folded(field, pattern),
                    Some(patterns) => {
                        let each = patterns.iter().map(|pattern| self.folded(field, pattern));
                        let each = each.collect();
                        self.builder.any(each)
                    }
                }
            }
            Test::Number { canonical, spelling } => {
                let mut texts = vec![fold(canonical), fold(spelling)];
                texts.dedup();
                let bits = texts.into_iter().map(|text| self.bit(field, Literal::Is(text)));
                let bits = bits.collect();
                self.builder.any(bits)
            }
            Test::Bool(value) => self.bit(field, Literal::Is(value.to_string())),
            Test::Null => self.builder.late(format!("{field:?} null"), unarmed(LateTest::Null)),
            Test::Exists(there) => {
                let exists =
                    self.builder.late(format!("{field:?} exists"), unarmed(LateTest::Exists));
                match there {
                    true => exists,
                    false => Expr::Not(Box::new(exists)),
                }
            }
            Test::Regex(regex) => {
                let name = format!("{field:?} regex {:?} {}", regex.flags(), regex.source());
                self.builder.late(name, |builder| {
                    let contains =
                        |text: &String| builder.bit(field, Literal::Contains(text.clone()));
                    let mut armed: Vec<_> = regex.required().iter().map(contains).collect();
                    armed.sort_unstable();
                    armed.dedup();
                    let number = builder.regex(regex);
                    Late { field, armed, test: LateTest::Regex(number) }
                })
            }
            Test::Network(network) => self.builder.late(
                format!("{field:?} networks {:?}", [network]),
                unarmed(LateTest::Networks(vec![*network])),
            ),
            Test::Compare(comparison, number) => self.builder.late(
                format!("{field:?} {comparison:?} {number}"),
                unarmed(LateTest::Compare(*comparison, *number)),
            ),
            Test::Field { other, relation } => {
                let other = self.fields.number(other);
                self.builder.late(
                    format!("{field:?} {relation:?} {other:?}"),
                    unarmed(LateTest::Field(other, *relation)),
                )
            }
            Test::Time(part, comparison, number) => self.builder.late(
                format!("{field:?} {part:?} {comparison:?} {number}"),
                unarmed(LateTest::Time(*part, *comparison, *number)),
            ),
        }
    }

    fn bit(&mut self, field: FieldId, literal: Literal) -> Expr {
        Expr::Bit(self.builder.bit(field, literal))
    }

    /// A pattern compared without regard to case.
    fn folded(&mut self, field: FieldId, pattern: &Pattern) -> Expr {
        if only_runs(pattern) {
            return self.bit(field, Literal::Present);
        }
        let literal = match pattern.parts() {
            [] => Literal::Is(String::new()),
            [Part::Text(text)] => Literal::Is(fold(text)),
            [Part::Any, Part::Text(text)] => Literal::Ends(fold(text)),
            [Part::Text(text), Part::Any] => Literal::Starts(fold(text)),
            [Part::Any, Part::Text(text), Part::Any] => Literal::Contains(fold(text)),
            _ => return self.glob(field, pattern, true),
        };
        match &literal {
            Literal::Contains(text) | Literal::Starts(text) | Literal::Ends(text)
                if !is_scanned(text) =>
            {
                self.glob(field, pattern, true)
            }
            _ => self.bit(field, literal),
        }
    }

    fn cased(&mut self, field: FieldId, pattern: &Pattern) -> Expr {
        match only_runs(pattern) {
            true => self.bit(field, Literal::Present),
            false => self.glob(field, pattern, false),
        }
    }

    /// A pattern that must be tried, once its longest text has been seen.
    fn glob(&mut self, field: FieldId, pattern: &Pattern, folded: bool) -> Expr {
        let name = format!("{field:?} glob {folded} {:?}", pattern.parts());
        self.builder.late(name, |builder| {
            let glob = Glob::new(pattern, folded);
            let longest = glob.longest().map(fold).filter(|text| is_scanned(text));
            let armed = longest.map(|text| builder.bit(field, Literal::Contains(text)));
            let test = match folded {
                true => LateTest::Folded(glob),
                false => LateTest::Cased(glob),
            };
            Late { field, armed: armed.into_iter().collect(), test }
        })
    }
}

fn size_of(condition: &Condition, size: &impl Fn(usize) -> usize) -> usize {
    let sum = |parts: &[Condition]| {
        parts.iter().map(|part| size_of(part, size)).fold(0, usize::saturating_add)
    };
    match condition {
        Condition::Is(i) => size(*i),
        Condition::All(parts) | Condition::Any(parts) => sum(parts),
        Condition::AtLeast(n, parts) => sum(parts).saturating_mul((*n).min(parts.len())),
        Condition::Not(part) => size_of(part, size),
    }
}
