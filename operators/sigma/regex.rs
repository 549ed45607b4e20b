//! Regular expressions of rules, within bounds.
//!
//! A search, unanchored, case-sensitive unless the rule says otherwise. Most run in linear time
//! by the `regex` crate. What only a backtracking engine can say (look-around, backreferences)
//! gets one, with limits on its steps and on the text, since look-around may look at all of it from
//! every place; what it gives up on does not match, and the event is flagged
//! ([`Flags::SEARCH_GIVEN_UP`](crate::types::Flags::SEARCH_GIVEN_UP)).
//!
//! Expressions are meant as PCRE has them. Where the crate reads other things in them (`meant`)
//! they are written so that it does not.
//!
//! From the syntax tree we read texts of which one must occur in whatever matches. The engine
//! looks for those with all other literals, and runs the expression only where one is.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::diagnose::{Fault, Pos, quoted};
use super::scan::is_scanned;
use super::value::fold;

/// The largest compiled program, in bytes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// The largest cache of a lazily built automaton, in bytes, per expression and worker.
const CACHE_BYTES_MAX: usize = 1 << 19;
/// How deep an expression may nest.
const NEST_MAX: u32 = 96;
/// The most steps of a backtracking search of one text: some 50 ms.
const BACKTRACK_MAX: usize = 1_000_000;
/// The longest text that is searched so, in bytes: a script block of PowerShell has up to 32 KiB.
const BACKTRACK_BYTES_MAX: usize = 64 << 10;
/// The most texts of which one must occur.
const REQUIRED_MAX: usize = 32;

/// The flags of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags {
    /// `i`: without regard to case.
    pub ignore_case: bool,
    /// `m`: `^` and `$` are the ends of lines.
    pub multi_line: bool,
    /// `s`: `.` is also a newline.
    pub dot_all: bool,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Regex {
    source: String,
    flags: Flags,
    engine: Engine,
    required: Vec<String>,
    /// The least number of bytes of a text in which it can occur.
    least: usize,
}

#[derive(Clone, Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Regex {
    /// Compiles `source`.
    ///
    /// # Errors
    ///
    /// When neither engine accepts it, or the program would be too large.
    pub(crate) fn new(written: &str, flags: Flags, at: Pos) -> Result<Self, Fault> {
        let (meant, possessive) = meant(written);
        let source = meant.as_str();
        let linear = linear(source, flags).or_else(|error| match (error, tree(source, flags)) {
            (regex::Error::CompiledTooBig(limit), Some(tree)) => {
                let shorter = trimmed(tree).to_string();
                match shorter == source {
                    true => Err(regex::Error::CompiledTooBig(limit)),
                    // The flags are in the tree already.
                    false => self::linear(&shorter, Flags::default()),
                }
            }
            (error, _) => Err(error),
        });
        let error = match linear {
            // The crate reads `a++` as one or more of one or more.
            Ok(_) if possessive => regex::Error::Syntax("possessive".to_owned()),
            Ok(engine) => {
                let tree = tree(source, flags);
                let required = tree.as_ref().map(required_texts).unwrap_or_default();
                let least = tree.and_then(|tree| tree.properties().minimum_len()).unwrap_or(0);
                let (source, engine) = (written.to_owned(), Engine::Linear(engine));
                return Ok(Regex { source, flags, engine, required, least });
            }
            Err(regex::Error::CompiledTooBig(_)) => {
                let reason = format!(
                    "the regular expression {} needs a program of more than {PROGRAM_BYTES_MAX} \
                     bytes",
                    quoted(written)
                );
                return Err(Fault::new(at, "regex-too-large", reason)
                    .hint("bound its repetitions more closely"));
            }
            Err(error) => error,
        };
        let wants_backtracking = ["(?=", "(?!", "(?<", "(?>", "\\1", "\\2", "\\k", "\\G"];
        let wants = possessive || wants_backtracking.iter().any(|sign| source.contains(sign));
        let backtracking = wants.then(|| {
            fancy_regex::RegexBuilder::new(source)
                .case_insensitive(flags.ignore_case)
                .multi_line(flags.multi_line)
                .dot_matches_new_line(flags.dot_all)
                .backtrack_limit(BACKTRACK_MAX)
                .delegate_size_limit(PROGRAM_BYTES_MAX)
                .delegate_dfa_size_limit(CACHE_BYTES_MAX)
                .build()
        });
        match backtracking {
            Some(Ok(engine)) => {
                let source = written.to_owned();
                let engine = Engine::Backtracking(Box::new(engine));
                Ok(Regex { source, flags, engine, required: Vec::new(), least: 0 })
            }
            _ => {
                let reason = format!(
                    "the regular expression {} is wrong: {}",
                    quoted(written),
                    last_line(&error)
                );
                Err(Fault::new(at, "bad-regex", reason))
            }
        }
    }

    /// Whether it occurs in `text`; `None` when the search was given up.
    #[must_use]
    pub fn finds(&self, text: &str) -> Option<bool> {
        if text.len() < self.least {
            return Some(false);
        }
        match &self.engine {
            Engine::Linear(regex) => Some(regex.is_match(text)),
            Engine::Backtracking(_) if text.len() > BACKTRACK_BYTES_MAX => None,
            Engine::Backtracking(regex) => regex.is_match(text).ok(),
        }
    }

    /// As the rule has it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Texts, folded, of which one occurs in each folded text that matches; empty if none are
    /// known.
    pub(crate) fn required(&self) -> &[String] {
        &self.required
    }
}

/// The last line of an error of the regex crate says what is wrong; those before it draw it.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// An expression of PCRE in words that the crate reads alike, and whether some quantifier in it is
/// possessive.
///
/// Unlike PCRE the crate takes `\<` and `\>` for the ends of a word, and `&&`, `--`, `~~` and a
/// bracket within a class for operations on sets.
fn meant(written: &str) -> (String, bool) {
    let mut meant = String::with_capacity(written.len());
    let mut possessive = false;
    let mut rest = written;
    let mut quantified = false;
    while let Some(first) = rest.chars().next() {
        let next = rest[first.len_utf8()..].chars().next();
        let mut taken = first.len_utf8();
        let was_quantified = std::mem::take(&mut quantified);
        match (first, next) {
            ('\\', Some(sign @ ('<' | '>'))) => {
                meant.push(sign);
                taken += 1;
            }
            ('\\', Some(escaped)) => {
                meant.extend(['\\', escaped]);
                taken += escaped.len_utf8();
            }
            ('[', _) => taken = class(rest, &mut meant),
            ('+', _) if was_quantified => {
                possessive = true;
                meant.push('+');
            }
            ('*' | '+' | '?' | '}', _) => {
                let counts = || {
                    let count = meant.rfind('{').map(|at| &meant[at + 1..]);
                    let is_count = |byte: u8| byte.is_ascii_digit() || byte == b',';
                    count.is_some_and(|count| !count.is_empty() && count.bytes().all(is_count))
                };
                quantified = !was_quantified && (first != '}' || counts());
                meant.push(first);
            }
            _ => meant.push(first),
        }
        rest = &rest[taken..];
    }
    (meant, possessive)
}

/// Writes the class at the start of `text` and gives back how long it is there.
fn class(text: &str, meant: &mut String) -> usize {
    let mut at = 1;
    meant.push('[');
    if text[at..].starts_with('^') {
        meant.push('^');
        at += 1;
    }
    let start = at;
    while let Some(first) = text[at..].chars().next() {
        let after = &text[at + first.len_utf8()..];
        match first {
            ']' if at > start => {
                meant.push(']');
                return at + 1;
            }
            '[' if after.starts_with(':') && after.contains(":]") => {
                let length = 1 + after.find(":]").expect("just seen") + 2;
                meant.push_str(&text[at..at + length]);
                at += length;
                continue;
            }
            '\\' => {
                let escaped = after.chars().next();
                match escaped {
                    Some(sign @ ('<' | '>')) => meant.push(sign),
                    Some(escaped) => meant.extend(['\\', escaped]),
                    None => meant.push('\\'),
                }
                at += 1 + escaped.map_or(0, char::len_utf8);
                continue;
            }
            // At an end a dash is itself, and so is one behind a dash that makes a range.
            '-' if at == start || after.starts_with(']') => meant.push_str("\\-"),
            '-' if after.starts_with('-') => {
                meant.push_str("-\\-");
                at += 2;
                continue;
            }
            ']' | '[' | '&' | '~' => meant.extend(['\\', first]),
            _ => meant.push(first),
        }
        at += first.len_utf8();
    }
    at
}

fn linear(source: &str, flags: Flags) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(source)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(PROGRAM_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .nest_limit(NEST_MAX)
        .build()
}

fn tree(source: &str, flags: Flags) -> Option<Hir> {
    regex_syntax::ParserBuilder::new()
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .nest_limit(NEST_MAX)
        .build()
        .parse(source)
        .ok()
}

/// An expression that occurs in the same texts, with less at its end.
///
/// Who asks only whether it occurs need not read what may be left out there: `a\w{1,64}b?` occurs
/// where `a\w` does. Real rules end so, and would otherwise be too large.
fn trimmed(tree: Hir) -> Hir {
    let mut parts = match tree.into_kind() {
        HirKind::Concat(parts) => parts,
        kind => vec![from_kind(kind)],
    };
    let optional = |part: &Hir| {
        let properties = part.properties();
        properties.minimum_len() == Some(0) && properties.look_set().is_empty()
    };
    while parts.len() > 1 && parts.last().is_some_and(optional) {
        parts.pop();
    }
    if let Some(last) = parts.pop() {
        parts.push(match last.into_kind() {
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                Hir::repetition(Repetition { max: Some(repetition.min), ..repetition })
            }
            kind => from_kind(kind),
        });
    }
    Hir::concat(parts)
}

fn from_kind(kind: HirKind) -> Hir {
    match kind {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(repetition) => Hir::repetition(repetition),
        HirKind::Capture(capture) => Hir::capture(capture),
        HirKind::Concat(parts) => Hir::concat(parts),
        HirKind::Alternation(branches) => Hir::alternation(branches),
    }
}

fn required_texts(tree: &Hir) -> Vec<String> {
    let known = Known::of(tree);
    known.best().filter(|texts| texts.iter().all(|text| is_scanned(text))).unwrap_or_default()
}

/// What is known of the texts that an expression matches, folded.
#[derive(Default)]
struct Known {
    /// All of them, when they are few.
    exact: Option<Vec<String>>,
    /// Texts of which one occurs in each.
    some: Option<Vec<String>>,
}

impl Known {
    fn of(hir: &Hir) -> Known {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Known::exactly(vec![String::new()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Known::exactly(vec![fold(text)]),
                Err(_) => Known::default(),
            },
            HirKind::Class(class) => Known::of_class(class),
            HirKind::Capture(capture) => Known::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let inner = Known::of(&repetition.sub);
                match (repetition.min, repetition.max) {
                    (1, Some(1)) => inner,
                    (0, _) => Known::default(),
                    _ => Known { exact: None, some: inner.best() },
                }
            }
            HirKind::Concat(parts) => Known::of_sequence(parts),
            HirKind::Alternation(branches) => Known::of_branches(branches),
        }
    }

    fn exactly(texts: Vec<String>) -> Known {
        Known { exact: Some(texts), some: None }
    }

    fn of_class(class: &Class) -> Known {
        const FEW: u32 = 8;
        let Class::Unicode(class) = class else { return Known::default() };
        let ranges = || class.iter().map(|range| (range.start() as u32, range.end() as u32));
        if ranges().map(|(start, end)| end - start + 1).sum::<u32>() > FEW {
            return Known::default();
        }
        let chars = ranges().flat_map(|(start, end)| (start..=end).filter_map(char::from_u32));
        let mut texts: Vec<String> = chars.map(|c| fold(c.encode_utf8(&mut [0; 4]))).collect();
        texts.sort();
        texts.dedup();
        Known::exactly(texts)
    }

    fn of_sequence(parts: &[Hir]) -> Known {
        let mut best: Option<Vec<String>> = None;
        let mut keep = |texts: Option<Vec<String>>| {
            let Some(texts) = texts else { return };
            if best.as_ref().is_none_or(|best| rank(&texts) > rank(best)) {
                best = Some(texts);
            }
        };
        let mut run = vec![String::new()];
        let mut whole = true;
        for part in parts {
            let known = Known::of(part);
            let joined = known.exact.as_ref().and_then(|texts| product(&run, texts));
            match joined {
                Some(joined) => run = joined,
                None => {
                    whole = false;
                    keep(Some(std::mem::replace(&mut run, vec![String::new()])));
                    match known.exact {
                        Some(texts) => run = texts,
                        None => keep(known.some),
                    }
                }
            }
        }
        if whole {
            return Known::exactly(run);
        }
        keep(Some(run));
        Known { exact: None, some: best }
    }

    fn of_branches(branches: &[Hir]) -> Known {
        let known: Vec<Known> = branches.iter().map(Known::of).collect();
        let count = |texts: &Option<Vec<String>>| texts.as_ref().map(Vec::len);
        let exact: Option<usize> = known.iter().map(|known| count(&known.exact)).sum();
        if exact.is_some_and(|count| count <= REQUIRED_MAX) {
            let texts = known.into_iter().filter_map(|known| known.exact).flatten();
            return Known::exactly(texts.collect());
        }
        let some: Option<Vec<Vec<String>>> = known.into_iter().map(Known::best).collect();
        let some: Option<Vec<String>> = some.map(|texts| texts.into_iter().flatten().collect());
        Known { exact: None, some: some.filter(|texts| texts.len() <= REQUIRED_MAX) }
    }

    fn best(self) -> Option<Vec<String>> {
        let useful = |texts: &Vec<String>| shortest(texts) > 0;
        match (self.exact.filter(useful), self.some.filter(useful)) {
            (Some(exact), Some(some)) if rank(&some) > rank(&exact) => Some(some),
            (Some(exact), _) => Some(exact),
            (None, some) => some,
        }
    }
}

fn shortest(texts: &[String]) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

/// Longer is rarer, and fewer are better.
fn rank(texts: &[String]) -> (usize, std::cmp::Reverse<usize>) {
    (shortest(texts), std::cmp::Reverse(texts.len()))
}

fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    const BYTES_MAX: usize = 256;
    if left.len() * right.len() > REQUIRED_MAX / 2 || shortest(left) > BYTES_MAX {
        return None;
    }
    let join = |a: &String, b: &String| format!("{a}{b}");
    Some(left.iter().flat_map(|a| right.iter().map(move |b| join(a, b))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(source: &str) -> Vec<String> {
        Regex::new(source, Flags::default(), Pos::START).unwrap().required
    }

    #[test]
    fn what_must_occur_is_read_from_the_expression() {
        assert_eq!(required(r"\\Start-Process\s+.*"), ["\\start-process"]);
        assert_eq!(required(r"(?:foo|barbaz)\d+"), ["foo", "barbaz"]);
        assert_eq!(required(r"[Ii]nvoke.{3,}x"), ["invoke"]);
        assert_eq!(required(r"(?i)evil[0-9]"), ["evil"]);
        assert_eq!(required(r"a*b?[0-9]+"), [""; 0]);
        assert_eq!(required(r"x(abc)?y"), [""; 0]);
    }

    #[test]
    fn look_around_gets_an_engine_that_has_it() {
        let regex = Regex::new("foo(?!bar)", Flags::default(), Pos::START).unwrap();
        assert_eq!(regex.finds("foobar foobaz"), Some(true));
        assert_eq!(regex.finds("foobar"), Some(false));
    }

    #[test]
    fn expressions_mean_what_they_mean_in_pcre() {
        let finds = |source: &str, text: &str| {
            let regex = Regex::new(source, Flags::default(), Pos::START);
            regex.unwrap_or_else(|fault| panic!("{source}: {fault:?}")).finds(text) == Some(true)
        };
        for (source, yes, no) in [
            (r"\<\?php", "x <?php eval", "x ?php"),
            (r"\</script\>", "</script>", "/script"),
            (r"\<script\>", "<script>", "a script"),
            (r"cmd[;&&|]+x", "cmd&&x", "cmdx"),
            (r"^[+--]$", "-", "."),
            (r"^[+--]$", ",", "*"),
            (r"^[!--]$", ",", "."),
            (r"^[--/]$", ".", "0"),
            (r"^[a-]$", "-", "b"),
            (r"^[~~]$", "~", "a"),
            (r"^[[a]$", "[", "b"),
            (r"^[]a]$", "]", "b"),
            (r"^[^]a]$", "b", "]"),
            (r"^[\]\<-]$", "<", "\\"),
            (r"^[[:digit:]&&x]+$", "1&x", "y"),
            (r"^a+b$", "aab", "b"),
            (r"^a++b$", "aab", "b"),
            (r"^\}+b$", "}}b", "b"),
            (r"^a{2}+b$", "aab", "ab"),
        ] {
            assert!(finds(source, yes), "{source} in {yes}");
            assert!(!finds(source, no), "{source} not in {no}");
        }
        assert!(!finds("a++a", "aaaa") && finds("(?:a+)+a", "aa") && finds("a+?a", "aa"));
        // What is written is what is shown.
        let regex = Regex::new(r"\<[&&]", Flags::default(), Pos::START).unwrap();
        assert_eq!(regex.source(), r"\<[&&]");
    }

    #[test]
    fn a_search_that_does_not_end_is_given_up() {
        let regex = Regex::new("a(?!b)", Flags::default(), Pos::START).unwrap();
        let long = "a".repeat(BACKTRACK_BYTES_MAX + 1);
        assert_eq!((regex.finds(&long), regex.finds(&long[1..])), (None, Some(true)));
        let regex = Regex::new(r"(?=a)(x+x+)+y\1", Flags::default(), Pos::START).unwrap();
        let hostile = format!("a{}", "x".repeat(64));
        assert!(regex.finds(&hostile).is_none_or(|found| !found));
    }

    #[test]
    fn what_may_be_left_out_at_the_end_is_not_compiled() {
        let regex = Regex::new(r"-k\s\w{1,64}(?:\s?(?:-p|-s))?", Flags::default(), Pos::START);
        let regex = regex.unwrap();
        assert_eq!(regex.finds("svchost -k netsvcs -p"), Some(true));
        assert_eq!(regex.finds("svchost -k "), Some(false));
        let shorter = |source| trimmed(tree(source, Flags::default()).unwrap()).to_string();
        assert_eq!(shorter("ab+c?"), "(?:ab)");
        assert_eq!(shorter("a[0-9]{2,9}"), "(?:a[0-9]{2})");
        assert_eq!(shorter("ab?$"), tree("ab?$", Flags::default()).unwrap().to_string());
    }

    #[test]
    fn a_bomb_is_refused() {
        for bomb in [r"\w{500}", "x{1000}{1000}", "((a{100}){100}){100}"] {
            let fault = Regex::new(bomb, Flags::default(), Pos::START).unwrap_err();
            assert_eq!(fault.code, "regex-too-large", "{bomb}");
        }
        let deep = format!("{}a{}", "(".repeat(3000), ")".repeat(3000));
        assert_eq!(Regex::new(&deep, Flags::default(), Pos::START).unwrap_err().code, "bad-regex");
        assert_eq!(Regex::new("(a", Flags::default(), Pos::START).unwrap_err().code, "bad-regex");
    }
}
