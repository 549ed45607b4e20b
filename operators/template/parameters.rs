//! Which parts of a message a template's wildcards stand for.

use super::mask::{Masked, WILDCARD};

/// Appends to `out` the places `[from, to)` in `message` that the wildcards of `template` stand
/// for, in order; returns whether `template` fits the message at all.
///
/// `masked` is what [`mask`](super::mask()) made of `message`. The template may be the one that
/// the message had at the time or what has become of it since: each `<*>` stands for one token or
/// more, and the places are those of the original text, from the first to the last of them. Of
/// `key=<*>` it is the value alone, of a token with masks inside it is each mask. If the template
/// does not fit (it was forgotten, or is another message's), the places are those of the masked
/// message itself.
pub fn parameters(
    template: &str,
    message: &str,
    masked: &Masked,
    out: &mut Vec<(u32, u32)>,
) -> bool {
    let before = out.len();
    let mut index = 0;
    let step = |word: &str| {
        let fits = match index < masked.len() {
            true if word == WILDCARD => {
                out.push(masked.span(index));
                true
            }
            true if word.as_bytes() == masked.bytes(message, index) => {
                masked.values(index, out);
                true
            }
            _ => false,
        };
        index += 1;
        fits
    };
    // As a rule each place is one token.
    if template.split(' ').all(step) && index == masked.len() {
        return true;
    }
    out.truncate(before);
    let pattern: Vec<&str> = template.split(' ').filter(|token| !token.is_empty()).collect();
    let equal =
        |place: usize, index: usize| pattern[place].as_bytes() == masked.bytes(message, index);
    let wild = |place: usize| pattern[place] == WILDCARD;
    let Some(starts) = align(pattern.len(), masked.len(), wild, equal) else {
        for index in 0..masked.len() {
            masked.values(index, out);
        }
        return false;
    };
    for (place, start) in starts.iter().enumerate() {
        if !wild(place) {
            masked.values(*start, out);
            continue;
        }
        let end = starts.get(place + 1).copied().unwrap_or(masked.len());
        out.push((masked.span(*start).0, masked.span(end - 1).1));
    }
    true
}

/// Whether every line that fits the template `narrow` also fits `wide`.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    let wide: Vec<&str> = wide.split(' ').collect();
    let narrow: Vec<&str> = narrow.split(' ').collect();
    let wild = |place: usize| wide[place] == WILDCARD;
    align(wide.len(), narrow.len(), wild, |place, index| wide[place] == narrow[index]).is_some()
}

/// Where each of `places` begins in a line of `tokens`, if a wildcard takes one token or more and
/// any other place takes one that is equal. Wildcards take as few as they can.
fn align(
    places: usize,
    tokens: usize,
    wild: impl Fn(usize) -> bool,
    equal: impl Fn(usize, usize) -> bool,
) -> Option<Vec<usize>> {
    let mut starts = Vec::with_capacity(places);
    // The last wildcard so far, and how far it reaches.
    let mut last: Option<(usize, usize)> = None;
    let mut token = 0;
    loop {
        let place = starts.len();
        if place == places && token == tokens {
            return Some(starts);
        }
        if place < places && token < tokens && (wild(place) || equal(place, token)) {
            starts.push(token);
            token += 1;
            if wild(place) {
                last = Some((place, token));
            }
            continue;
        }
        let (place, end) = last?;
        if end >= tokens {
            return None;
        }
        last = Some((place, end + 1));
        token = end + 1;
        starts.truncate(place + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::mask;

    fn found<'a>(template: &str, message: &'a str) -> (bool, Vec<&'a str>) {
        let mut masked = Masked::default();
        mask(message, &mut masked);
        let mut places = Vec::new();
        let fits = parameters(template, message, &masked, &mut places);
        let text = |place: &(u32, u32)| &message[place.0 as usize..place.1 as usize];
        (fits, places.iter().map(text).collect())
    }

    #[test]
    fn parameters_are_the_original_text() {
        let (fits, found) = found(
            "Failed password for root from <*> port <*> ssh2:",
            "Failed password for root from 10.0.0.1  port 22 ssh2:",
        );
        assert!(!fits, "a token with a digit is a value");
        assert_eq!(found, ["10.0.0.1", "22 ssh2:"]);
    }

    #[test]
    fn a_run_is_one_parameter_with_all_its_text() {
        let found = found("took <*> for <*>", "took 512 MB (3.5 s) - 7 for ann");
        assert_eq!(found, (true, vec!["512 MB (3.5 s) - 7", "ann"]));
    }

    #[test]
    fn of_a_key_and_value_the_parameter_is_the_value() {
        let found = found("login uid=<*> (user=<*> ok", "login uid=0 (user=u17) ok");
        assert_eq!(found, (true, vec!["0", "u17)"]));
    }

    #[test]
    fn masks_inside_a_token_are_parameters() {
        let found = found("see <<*>|<*>", "see <http://a.b/c|http://d.e/f?g>x>");
        assert_eq!(found.1, ["http://a.b/c|http://d.e/f?g"]);
    }

    #[test]
    fn a_template_that_generalised_later_still_fits() {
        let found = found("session <*> for <*> by <*>", "session opened for ann lee by root");
        assert_eq!(found, (true, vec!["opened", "ann lee", "root"]));
    }

    #[test]
    fn a_template_covers_what_fits_it() {
        assert!(covers("a <*> c", "a b b c"));
        assert!(covers("<*> c", "a <*> c c"));
        assert!(!covers("a <*> c", "a c"));
        assert!(!covers("a b c", "a <*> c"));
        assert!(!covers("a <*>", "b c"));
        assert!(covers("<*> b <*> c", "b b b c b c"));
    }
}
