//! The condition of a rule: which selections must hold.
//!
//! Loosest first: `or`, `and`, `not`, then `1 of`, `any of`, `all of` and parentheses. A list of
//! conditions is their disjunction. `them` and patterns leave out selections whose names begin
//! with `_`, unless the pattern does too. A number before `of` asks for at least so many.
//!
//! Grammar and bounds: at most [`TOKENS_MAX`] tokens, nested at most [`DEPTH_MAX`] deep.

use super::detection::Selection;
use super::diagnose::{Fault, quoted};
use super::yaml::{Node, Yaml};

/// The most words and parentheses of a condition.
pub const TOKENS_MAX: usize = 4096;
/// The deepest nesting of parentheses and `not`s.
pub const DEPTH_MAX: usize = 64;

/// A condition over numbered names: the selections of a rule, the rules of a correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This one holds.
    Is(usize),
    /// All hold.
    All(Vec<Condition>),
    /// One holds.
    Any(Vec<Condition>),
    /// At least so many hold.
    AtLeast(usize, Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Whether it holds, when `holds` says which of the names do.
    pub fn holds(&self, holds: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Condition::Is(i) => holds(*i),
            Condition::All(parts) => parts.iter().all(|part| part.holds(holds)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(holds)),
            Condition::AtLeast(n, parts) => {
                parts.iter().filter(|part| part.holds(holds)).count() >= *n
            }
            Condition::Not(part) => !part.holds(holds),
        }
    }

    /// Which of `names` names it mentions.
    #[must_use]
    pub fn used(&self, names: usize) -> Vec<bool> {
        let mut used = vec![false; names];
        self.mark(&mut used);
        used
    }

    fn mark(&self, used: &mut [bool]) {
        match self {
            Condition::Is(i) => used[*i] = true,
            Condition::Not(part) => part.mark(used),
            Condition::All(parts) | Condition::Any(parts) | Condition::AtLeast(_, parts) => {
                parts.iter().for_each(|part| part.mark(used));
            }
        }
    }

    /// As people read it.
    #[must_use]
    pub fn shown(&self, names: &[&str]) -> String {
        let inside = |part: &Condition| match part {
            Condition::Is(_) | Condition::Not(_) => part.shown(names),
            _ => format!("({})", part.shown(names)),
        };
        let all =
            |parts: &[Condition], by: &str| parts.iter().map(inside).collect::<Vec<_>>().join(by);
        match self {
            Condition::Is(i) => names.get(*i).copied().unwrap_or_default().to_owned(),
            Condition::All(parts) => all(parts, " and "),
            Condition::Any(parts) => all(parts, " or "),
            Condition::AtLeast(n, parts) => format!("{n} of ({})", all(parts, ", ")),
            Condition::Not(part) => format!("not {}", inside(part)),
        }
    }

    /// The same condition over names that are numbered from `offset` on.
    #[must_use]
    pub fn shifted(&self, offset: usize) -> Condition {
        let all = |parts: &[Condition]| parts.iter().map(|part| part.shifted(offset)).collect();
        match self {
            Condition::Is(i) => Condition::Is(i + offset),
            Condition::All(parts) => Condition::All(all(parts)),
            Condition::Any(parts) => Condition::Any(all(parts)),
            Condition::AtLeast(n, parts) => Condition::AtLeast(*n, all(parts)),
            Condition::Not(part) => Condition::Not(Box::new(part.shifted(offset))),
        }
    }
}

/// Reads the condition of a rule or filter, and gives it back as written too.
pub(crate) fn of_rule(node: &Node, selections: &[Selection]) -> Result<(Condition, String), Fault> {
    let names: Vec<&str> = selections.iter().map(|selection| selection.name.as_str()).collect();
    let Yaml::List(list) = &node.value else {
        return parse(node, &names, true).map(|condition| (condition, text(node)));
    };
    if list.is_empty() {
        return Err(Fault::new(node.at, "no-condition", "`condition` is an empty list"));
    }
    let conditions: Result<Vec<Condition>, Fault> =
        list.iter().map(|node| parse(node, &names, true)).collect();
    let written: Vec<String> = list.iter().map(|node| format!("({})", text(node))).collect();
    Ok((Condition::Any(conditions?), written.join(" or ")))
}

fn text(node: &Node) -> String {
    node.scalar().unwrap_or_default().trim().to_owned()
}

/// Reads a condition over `names`; `selectors`: whether `1 of …` is allowed.
pub(crate) fn parse(node: &Node, names: &[&str], selectors: bool) -> Result<Condition, Fault> {
    let Some(text) = node.scalar() else {
        let reason = format!("a condition must be text, not {}", node.kind());
        return Err(Fault::new(node.at, "bad-condition", reason));
    };
    let tokens = tokens(text, node)?;
    let mut parser = Parser { node, names, selectors, tokens: &tokens, next: 0, depth: 0 };
    let condition = parser.disjunction()?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => {
            let reason = format!("expected `and`, `or` or the end, found {}", token.shown());
            Err(parser.fault_at(token, reason))
        }
    }
}

/// A word or a parenthesis, and the number of characters before it.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    chars: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    fn shown(&self) -> String {
        quoted(self.text)
    }
}

fn tokens<'a>(text: &'a str, node: &Node) -> Result<Vec<Token<'a>>, Fault> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*');
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().enumerate().peekable();
    while let Some((number, (start, c))) = chars.next() {
        let mut end = start + c.len_utf8();
        match c {
            c if c.is_whitespace() => continue,
            '(' | ')' => {}
            c if word(c) => {
                while let Some((_, (at, c))) = chars.next_if(|(_, (_, c))| word(*c)) {
                    end = at + c.len_utf8();
                }
            }
            '|' => {
                let reason = "aggregations after `|` belong to Sigma v1";
                return Err(Fault::new(node.inside(number), "sigma-v1", reason)
                    .hint("write a correlation rule"));
            }
            c => {
                let reason = format!("unexpected {} in a condition", quoted(&c.to_string()));
                return Err(Fault::new(node.inside(number), "bad-condition", reason));
            }
        }
        if tokens.len() == TOKENS_MAX {
            let reason = format!("a condition of more than {TOKENS_MAX} words");
            return Err(Fault::new(node.inside(number), "bad-condition", reason));
        }
        tokens.push(Token { text: &text[start..end], chars: number });
    }
    Ok(tokens)
}

struct Parser<'a> {
    node: &'a Node,
    names: &'a [&'a str],
    selectors: bool,
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.peek().is_some_and(|token| token.is(word));
        self.next += usize::from(taken);
        taken
    }

    fn fault_at(&self, token: Token<'_>, reason: String) -> Fault {
        Fault::new(self.node.inside(token.chars), "bad-condition", reason)
    }

    fn end(&self, wanted: &str) -> Fault {
        let at = match self.tokens.last() {
            Some(last) => self.node.inside(last.chars + last.text.len()),
            None => self.node.at,
        };
        Fault::new(at, "bad-condition", format!("the condition ends where {wanted} should follow"))
    }

    fn disjunction(&mut self) -> Result<Condition, Fault> {
        let first = self.conjunction()?;
        let mut parts = vec![first];
        while self.take("or") {
            parts.push(self.conjunction()?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn conjunction(&mut self) -> Result<Condition, Fault> {
        let first = self.negation()?;
        let mut parts = vec![first];
        while self.take("and") {
            parts.push(self.negation()?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn negation(&mut self) -> Result<Condition, Fault> {
        let Some(token) = self.peek() else { return Err(self.end("a selection")) };
        if self.depth == DEPTH_MAX {
            let reason = format!("a condition nested deeper than {DEPTH_MAX}");
            return Err(self.fault_at(token, reason));
        }
        self.depth += 1;
        let condition = match token.text {
            "(" => {
                self.next += 1;
                let inner = self.disjunction()?;
                match self.peek() {
                    Some(token) if token.text == ")" => self.next += 1,
                    Some(token) => {
                        let reason = format!("expected `)`, found {}", token.shown());
                        return Err(self.fault_at(token, reason));
                    }
                    None => return Err(self.end("`)`")),
                }
                inner
            }
            _ if token.is("not") => {
                self.next += 1;
                Condition::Not(Box::new(self.negation()?))
            }
            _ => self.selection(token)?,
        };
        self.depth -= 1;
        Ok(condition)
    }

    /// A name, or a quantity of names.
    fn selection(&mut self, token: Token<'a>) -> Result<Condition, Fault> {
        self.next += 1;
        let quantified = self.peek().is_some_and(|next| next.is("of"));
        if !quantified {
            return self.name(token);
        }
        if !self.selectors {
            let reason = "`of` selects selections, not rules".to_owned();
            return Err(self.fault_at(token, reason));
        }
        self.next += 1;
        let Some(pattern) = self.peek() else { return Err(self.end("`them` or a pattern")) };
        self.next += 1;
        let found: Vec<Condition> = self.found(pattern).map(Condition::Is).collect();
        if found.is_empty() {
            let reason = format!("no selection is meant by {}", pattern.shown());
            return Err(self.fault_at(pattern, reason).suggest(pattern.text, self.known()));
        }
        if token.is("all") {
            return Ok(one_or(found, Condition::All));
        }
        if token.is("any") || token.text == "1" {
            return Ok(one_or(found, Condition::Any));
        }
        match token.text.parse::<usize>() {
            Ok(n) if n > 0 => Ok(Condition::AtLeast(n, found)),
            _ => {
                let reason =
                    format!("expected `1`, `any` or `all` before `of`, found {}", token.shown());
                Err(self.fault_at(token, reason))
            }
        }
    }

    fn name(&self, token: Token<'_>) -> Result<Condition, Fault> {
        if let Some(i) = self.names.iter().position(|name| *name == token.text) {
            return Ok(Condition::Is(i));
        }
        let what = if self.selectors { "selection" } else { "rule" };
        let reason = match token.text {
            ")" => "expected a selection, found `)`".to_owned(),
            word if ["and", "or", "of"].iter().any(|op| word.eq_ignore_ascii_case(op)) => {
                format!("expected a {what} before {}", token.shown())
            }
            _ => format!("no {what} is named {}", token.shown()),
        };
        Err(self.fault_at(token, reason).suggest(token.text, self.known()))
    }

    fn known(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names.iter().copied()
    }

    /// The names that `them` or a pattern means.
    fn found(&self, pattern: Token<'a>) -> impl Iterator<Item = usize> {
        let them = pattern.is("them");
        let private = pattern.text.starts_with('_');
        let meant = move |name: &str| {
            let shown = private || !name.starts_with('_');
            match (them, pattern.text.contains('*')) {
                (true, _) => shown,
                (false, true) => shown && like(pattern.text, name),
                (false, false) => name == pattern.text,
            }
        };
        (0..self.names.len()).filter(move |i| meant(self.names[*i]))
    }
}

fn one_or(mut parts: Vec<Condition>, join: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// Whether `name` fits a pattern in which `*` is any run.
pub(crate) fn like(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    const NAMES: [&str; 6] = ["a", "b", "c", "sel_x", "sel_y", "_hidden"];

    fn read(text: &str) -> Result<Condition, Fault> {
        let quoted = format!("condition: {text}\n");
        let (documents, fault) = yaml::documents(&quoted);
        assert_eq!(fault, None);
        parse(documents[0].get("condition").unwrap(), &NAMES, true)
    }

    /// Whether the condition holds when exactly the names in `true_ones` do.
    fn holds(text: &str, true_ones: &[&str]) -> bool {
        read(text).unwrap().holds(&mut |i| true_ones.contains(&NAMES[i]))
    }

    #[test]
    fn or_is_looser_than_and_which_is_looser_than_not() {
        assert!(holds("a or b and c", &["a"]) && !holds("a or b and c", &["b"]));
        assert!(holds("not a and b", &["b"]) && !holds("not a and b", &["a", "b"]));
        assert!(holds("not (a and b)", &["a"]) && !holds("(a or b) and c", &["a"]));
        assert!(holds("a AND NOT b", &["a"]) && holds("not not a", &["a"]));
    }

    #[test]
    fn quantities_leave_out_hidden_selections() {
        assert!(holds("1 of them", &["sel_x"]) && !holds("1 of them", &["_hidden"]));
        assert!(holds("1 of _*", &["_hidden"]) && holds("all of sel_*", &["sel_x", "sel_y"]));
        assert!(!holds("all of sel_*", &["sel_x"]) && holds("any of s*_x", &["sel_x"]));
        assert!(holds("2 of them", &["a", "sel_y"]) && !holds("2 of them", &["a"]));
        assert!(holds("1 of a", &["a"]));
    }

    #[test]
    fn faults_say_where() {
        let at = |text: &str| read(text).map(|_| ()).unwrap_err().at.column;
        assert_eq!(at("a and nope"), 18);
        assert_eq!(at("a and"), 17);
        assert_eq!(at("(a or b"), 19);
        assert_eq!(at("a b"), 14);
        assert_eq!(at("1 of z*"), 17);
        assert_eq!(at("\"a or x\""), 18);
        assert_eq!(read("a | count() > 5").unwrap_err().code, "sigma-v1");
        assert_eq!(read("selx_x").unwrap_err().hint.as_deref(), Some("did you mean `sel_x`?"));
        for wrong in ["and a", "()", "a or", "not", "0 of them", "a &b", "x of a", "a)"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn three_thousand_parentheses_are_too_deep() {
        let deep = format!("{}a{}", "(".repeat(3000), ")".repeat(3000));
        assert!(read(&deep).is_err());
        assert!(read(&format!("{}a", "not ".repeat(3000))).is_err());
    }
}
