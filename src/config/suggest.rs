//! "Did you mean …?" for keys and words.

use super::keys::{self, Effect};

/// How many letters may be wrong, left out, added or swapped.
const DISTANCE_MAX: usize = 2;
/// How many names are offered.
const OFFERED_MAX: usize = 3;

/// Names like `name`: those in its section, else those anywhere.
///
/// Names at the same distance are all offered, as far as there is room.
pub(super) fn suggest(section: &str, name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    // A path where a name belongs: `receivers.syslog_udp_port: 5514`.
    if lower.contains('.')
        && let Some(entry) = keys::find(&keys::join(section, &lower))
    {
        let (above, last) = keys::split(&entry.path);
        return Some(format!("`{last}` goes below `{above}:`, on a line of its own"));
    }
    let mut near: Vec<(usize, usize, &str)> = Vec::new();
    for entry in keys::all() {
        let (in_section, last) = keys::split(&entry.path);
        let distance = distance(&lower, last);
        let home = in_section == section;
        // Elsewhere, three letters in common mean nothing.
        let limit = if home { DISTANCE_MAX } else { DISTANCE_MAX.min(last.len() / 5) };
        if distance > limit
            || distance >= last.len()
            || matches!(entry.effect, Effect::Alias(_)) && !home
        {
            continue;
        }
        near.push((usize::from(!home), distance, &entry.path));
    }
    offer(near, |path| if keys::split(path).0 == section { keys::split(path).1 } else { path })
}

/// Words like `word`, out of `words`.
pub(super) fn suggest_word(word: &str, words: &[&str]) -> Option<String> {
    let near = words
        .iter()
        .map(|candidate| (0, distance(word, candidate), *candidate))
        .filter(|(_, distance, candidate)| *distance <= DISTANCE_MAX && *distance < candidate.len())
        .collect();
    offer(near, |word| word)
}

fn offer(mut near: Vec<(usize, usize, &str)>, show: impl Fn(&str) -> &str) -> Option<String> {
    near.sort_unstable();
    let &(home, distance, _) = near.first()?;
    let names: Vec<String> = near
        .iter()
        .take_while(|entry| (entry.0, entry.1) == (home, distance))
        .take(OFFERED_MAX)
        .map(|(_, _, name)| format!("`{}`", show(name)))
        .collect();
    Some(format!("did you mean {}?", names.join(" or ")))
}

/// How many letters are wrong, left out, added or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    // Far apart in length is far apart; this also bounds the work on long names.
    if a.len().abs_diff(b.len()) > 2 * DISTANCE_MAX {
        return usize::MAX;
    }
    strsim::osa_distance(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_its_section_and_across_sections() {
        let cases = [
            ("receivers", "syslog_enabld", "did you mean `syslog_enabled`?"),
            ("receivers", "Syslog-UDP-Port", "did you mean `syslog_udp_port`?"),
            ("", "recievers", "did you mean `receivers`?"),
            ("", "detecton", "did you mean `detection`?"),
            ("", "syslog_udp_prot", "did you mean `receivers.syslog_udp_port`?"),
            ("detection", "risk_levl", "did you mean `detection.dspot.risk_level`?"),
            ("", "journal.fsync", "`fsync` goes below `journal:`, on a line of its own"),
        ];
        for (section, name, expected) in cases {
            assert_eq!(suggest(section, name).as_deref(), Some(expected), "{section}.{name}");
        }
        assert_eq!(suggest("receivers", "colour"), None);
        assert_eq!(suggest("", &"x".repeat(100_000)), None);
        assert_eq!(
            suggest_word("intervall", &["always", "interval"]).as_deref(),
            Some("did you mean `interval`?")
        );
    }
}
