//! `${NAME}` and `${NAME:-otherwise}` in values.
//!
//! Done after the YAML is read, on one scalar at a time, so that what a variable holds can never
//! become a key, a list or another variable. `$${` is a plain `${`.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The environment, as it was when the program started.
pub type Environment = BTreeMap<String, String>;

/// How long a value may be after its variables are put in.
const EXPANDED_MAX: usize = 1 << 16;

/// Why a value has variables that cannot be put in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpolateError {
    /// There is no such variable, and nothing is said to take instead.
    #[error("environment variable `{0}` is not set")]
    Missing(String),
    /// A `${` that no `}` follows.
    #[error("`${{` without `}}`")]
    Open,
    /// A name that no variable can have.
    #[error("`{0}` is not the name of an environment variable")]
    Name(String),
    /// The value would be too long.
    #[error("the value is longer than {EXPANDED_MAX} bytes")]
    Long,
}

/// What a value is once its variables are put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded<'t> {
    /// The text.
    pub text: Cow<'t, str>,
    /// The variables named in it, set or not.
    pub variables: Vec<String>,
}

/// Puts the variables into a value.
///
/// # Errors
/// If a variable is not set and has no `:-`, or its name is none.
pub fn interpolate<'t>(
    text: &'t str,
    environment: &Environment,
) -> Result<Expanded<'t>, InterpolateError> {
    if !text.contains("${") {
        return Ok(Expanded { text: Cow::Borrowed(text), variables: Vec::new() });
    }
    let mut expanded = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at - 1]);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or(InterpolateError::Open)?;
        let (name, otherwise) = match inner[..end].split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (&inner[..end], None),
        };
        if !is_name(name) {
            return Err(InterpolateError::Name(name.to_owned()));
        }
        // As in a shell, `:-` stands in for an empty variable too.
        let value = match (environment.get(name), otherwise) {
            (Some(value), Some(otherwise)) if value.is_empty() => otherwise,
            (Some(value), _) => value,
            (None, Some(otherwise)) => otherwise,
            (None, None) => return Err(InterpolateError::Missing(name.to_owned())),
        };
        expanded.push_str(value);
        variables.push(name.to_owned());
        if expanded.len() > EXPANDED_MAX {
            return Err(InterpolateError::Long);
        }
        rest = &inner[end + 1..];
    }
    expanded.push_str(rest);
    Ok(Expanded { text: Cow::Owned(expanded), variables })
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, InterpolateError> {
        let environment = [("PORT", "99"), ("EMPTY", ""), ("LOOP", "${LOOP}"), ("LIST", "[1, 2]")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        interpolate(text, &environment.into()).map(|expanded| expanded.text.into_owned())
    }

    #[test]
    fn a_variable_is_put_in_and_a_missing_one_is_named() {
        let cases = [
            ("a${PORT}b${PORT}", "a99b99"),
            ("${NONE:-9090}", "9090"),
            ("${PORT:-9090}", "99"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${NONE:-}", ""),
            ("${LOOP}", "${LOOP}"),
            ("${LIST}", "[1, 2]"),
            ("$${PORT}", "${PORT}"),
            ("$PORT", "$PORT"),
            ("100$", "100$"),
            ("${NONE:-a:-b}", "a:-b"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(expand("x${NONE}"), Err(InterpolateError::Missing("NONE".into())));
        assert_eq!(expand("${PORT"), Err(InterpolateError::Open));
        assert_eq!(expand("${}"), Err(InterpolateError::Name(String::new())));
        assert_eq!(expand("${1X:-2}"), Err(InterpolateError::Name("1X".into())));
    }
}
