//! The protocol: what must not depend on workers, what stays, what is bounded.

use super::shared::*;
use crate::template::dictionary::Dictionary;
use crate::template::parameters::covers;
use crate::template::{
    Cache, DecodeError, Masked, Miss, Options, TOKENS_MAX, TemplateId, Usage, mask, parameters,
};

/// Words that make lines which meet, part and generalise often.
const WORDS: [&str; 24] = [
    "open",
    "close",
    "opened,",
    "read",
    "write",
    "for",
    "from",
    "user",
    "root",
    "ann",
    "bob:",
    "eve",
    "(mallory)",
    "by",
    "10.0.0.1",
    "42",
    "-",
    "k=1",
    "k=on",
    "k=off",
    "action=deny",
    "in",
    "/usr/bin/x",
    "key7=a",
];

fn lines_by_chance(seed: u64, count: usize) -> Vec<String> {
    let mut chance = Chance(seed);
    let line = |_| {
        let len = chance.below(8);
        let words: Vec<&str> = (0..len).map(|_| chance.of(&WORDS)).collect();
        words.join(" ")
    };
    (0..count).map(line).collect()
}

/// Small limits, so that all of them bite.
const TIGHT: Options = Options {
    max_children: 4,
    max_leaf: 12,
    max_templates: 60,
    max_aliases: 20,
    late_wildcard: 3,
    ..Options::STANDARD
};

impl Dictionary {
    /// All that holds between the parts of a dictionary.
    fn check(&self) {
        let mut members = 0;
        for (id, entry) in &self.entries {
            assert_eq!(*id, entry.template.id);
            assert!(*id != TemplateId::NONE && !entry.members.is_empty());
            assert!(entry.members.len() <= 32);
            assert_eq!(self.by_text.get(&entry.template.text), Some(id));
            assert!(self.by_use.contains(&(entry.template.last_epoch, *id)));
            assert!(!self.aliases.contains_key(id), "who is alive stands for itself");
            assert!(entry.template.first_seq <= entry.template.last_seq);
            assert!(entry.template.first_epoch <= entry.template.last_epoch);
            for member in &entry.members {
                let cluster = &self.clusters[member];
                assert_eq!(cluster.template, *id);
                assert!(covers(&entry.template.text, &cluster.line), "a text covers its clusters");
                assert!(self.tree.rows(cluster.leaf).contains(member));
            }
            members += entry.members.len();
        }
        assert_eq!(members, self.clusters.len());
        assert_eq!(self.by_text.len(), self.entries.len());
        assert_eq!(self.by_use.len(), self.entries.len());
        let leaves = self.tree.leaves();
        let rows: usize = leaves.iter().map(|(_, leaf)| self.tree.rows(*leaf).len()).sum();
        assert_eq!(rows, self.clusters.len());
        for (_, leaf) in &leaves {
            assert!(self.tree.rows(*leaf).len() <= self.options.max_leaf);
        }
        assert!(self.tree.len() <= leaves.len() * (self.options.depth - 2), "no node is left over");
        assert!(self.clusters.len() <= self.options.max_templates);
        assert!(self.aliases.len() <= self.options.max_aliases);
        assert!(self.aliases_by_age.len() <= self.options.max_aliases);
        assert_eq!(self.siblings.len(), self.siblings_by_age.len());
        assert!(self.siblings.len() <= self.options.max_templates * 4);
    }
}

#[test]
fn ids_and_replicas_do_not_depend_on_how_events_were_split_over_workers() {
    for seed in 0..12 {
        let lines = lines_by_chance(seed, 3000);
        for options in [Options::STANDARD, TIGHT] {
            let cut = |seq: u64| 1 + (seq * 7 + seed) % 190;
            let (ids, alone) = run(options, &lines, 1, |_| 0, cut);
            alone[0].check();
            let (by_seq, two) = run(options, &lines, 2, |seq| seq as usize, cut);
            let (by_chance, three) = run(options, &lines, 3, |seq| Chance(seq).below(3), cut);
            assert_eq!(ids, by_seq);
            assert_eq!(ids, by_chance);
            for replica in two.iter().chain(&three) {
                assert_eq!(replica.encode(), alone[0].encode());
            }
        }
    }
}

#[test]
fn after_any_epoch_a_dictionary_that_was_stored_goes_on_as_if_it_had_not_been() {
    for seed in 20..26 {
        let lines = lines_by_chance(seed, 1500);
        for options in [Options::STANDARD, TIGHT] {
            let mut kept = Dictionary::new(options);
            let mut stored = Dictionary::new(options);
            for (epoch, part) in (0..).zip(lines.chunks(50)) {
                let mut told = Vec::new();
                for dictionary in [&mut kept, &mut stored] {
                    let (mut misses, mut usage) = (Vec::new(), Usage::default());
                    for (seq, line) in (epoch * 50..).zip(part) {
                        let masked = masked(line);
                        match dictionary.find(&masked) {
                            Some(id) => usage.push(id, seq),
                            None => misses.push(Miss {
                                seq,
                                last_seq: seq,
                                count: 1,
                                line: masked.line(line),
                            }),
                        }
                    }
                    dictionary.used(epoch, &usage);
                    told.push((usage.sorted(), dictionary.merge(epoch, misses)));
                }
                assert_eq!(told[0], told[1]);
                let bytes = stored.encode();
                assert_eq!(bytes, kept.encode());
                stored = Dictionary::decode(&bytes, options).expect("it was just encoded");
                stored.check();
                assert!(stored.iter().eq(kept.iter()));
            }
        }
    }
}

#[test]
fn bytes_that_no_dictionary_made_are_refused_and_never_a_panic() {
    let lines = lines_by_chance(30, 400);
    let (_, replicas) = run(TIGHT, &lines, 1, |_| 0, |_| 40);
    let bytes = replicas[0].encode();
    assert!(Dictionary::decode(&bytes, TIGHT).is_ok());
    let other = Options { depth: 4, ..TIGHT };
    let refused = Dictionary::decode(&bytes, other).expect_err("its tree is another");
    assert_eq!(refused, DecodeError::Depth { found: 5, wanted: 4 });
    let mut newer = bytes.clone();
    newer[0] = 99;
    let refused = Dictionary::decode(&newer, TIGHT).expect_err("its form is another");
    assert_eq!(refused, DecodeError::Form { found: 99 });
    for end in 0..bytes.len() {
        assert!(Dictionary::decode(&bytes[..end], TIGHT).is_err());
    }
    let mut chance = Chance(31);
    for _ in 0..3000 {
        let mut spoilt = bytes.clone();
        for _ in 0..1 + chance.below(3) {
            let at = chance.below(spoilt.len());
            spoilt[at] = chance.next() as u8;
        }
        // What is accepted must be good enough to be used.
        let Ok(mut dictionary) = Dictionary::decode(&spoilt, TIGHT) else { continue };
        for (seq, line) in lines.iter().take(100).enumerate() {
            let masked = masked(line);
            if dictionary.find(&masked).is_none() {
                dictionary.learn(u64::MAX, seq as u64, line, &masked);
            }
        }
    }
}

#[test]
fn every_line_fits_the_template_that_it_was_given() {
    for seed in 40..46 {
        let lines = lines_by_chance(seed, 2000);
        for options in
            [Options::STANDARD, Options { max_templates: 10_000, max_leaf: 500, ..TIGHT }]
        {
            let (ids, replicas) = run(options, &lines, 1, |_| 0, |_| 1);
            let (mut fit, mut lost) = (0, 0);
            for (line, id) in lines.iter().zip(ids) {
                let (masked, mut places) = (masked(line), Vec::new());
                match replicas[0].get(id) {
                    Some(template) => {
                        assert!(
                            parameters(&template.text, line, &masked, &mut places),
                            "{line:?} is no {:?}",
                            template.text
                        );
                        fit += 1;
                    }
                    None => lost += usize::from(!masked.is_empty()),
                }
            }
            assert!(fit > 1000, "{fit} fit, {lost} were forgotten");
        }
    }
}

#[test]
fn an_empty_message_has_no_template() {
    let mut dictionary = Dictionary::new(Options::STANDARD);
    assert_eq!(dictionary.find(&masked(" \t ")), Some(TemplateId::NONE));
    assert_eq!(dictionary.learn(0, 0, "", &masked("")), TemplateId::NONE);
    assert!(dictionary.is_empty());
}

#[test]
fn a_line_that_was_learned_is_found_under_the_same_id() {
    let mut dictionary = Dictionary::new(Options::STANDARD);
    for (seq, line) in lines_by_chance(50, 500).iter().enumerate() {
        let masked = masked(line);
        let id = dictionary.learn(seq as u64, seq as u64, line, &masked);
        assert_eq!(dictionary.find(&masked), Some(id), "{line}");
        let before = dictionary.version();
        assert_eq!(dictionary.learn(seq as u64, seq as u64, line, &masked), id);
        assert_eq!(dictionary.version(), before, "a hit changes no answer");
    }
}

#[test]
fn an_id_is_the_hash_of_the_founding_line() {
    let mut dictionary = Dictionary::new(Options::STANDARD);
    let id = dictionary.learn(0, 0, "took 7 ms", &masked("took 7 ms"));
    assert_eq!(id.0, crate::types::hash::stable(b"took <*>"));
}

#[test]
fn a_template_that_was_forgotten_and_comes_back_has_its_id_again() {
    let options = Options { max_templates: 3, ..Options::STANDARD };
    let mut dictionary = Dictionary::new(options);
    let mut learn = |epoch: u64, line: &str| {
        let id = dictionary.learn(epoch, epoch, line, &masked(line));
        (id, dictionary.len())
    };
    let (first, _) = learn(0, "alpha beta gamma");
    learn(1, "one");
    learn(2, "two words");
    assert_eq!(learn(3, "now three words here").1, 3);
    let (again, len) = learn(4, "alpha beta gamma");
    assert_eq!((again, len), (first, 3));
}

#[test]
fn what_has_not_been_used_for_longest_is_forgotten_first() {
    let options = Options { max_templates: 3, ..Options::STANDARD };
    let mut dictionary = Dictionary::new(options);
    let mut ids = Vec::new();
    for (epoch, line) in (0..).zip(["one", "two words", "now three words"]) {
        ids.push(dictionary.learn(epoch, epoch, line, &masked(line)));
    }
    let mut usage = Usage::default();
    usage.push(ids[0], 7);
    dictionary.used(7, &usage);
    dictionary.learn(8, 8, "and these are five words", &masked("and these are five words"));
    assert!(dictionary.get(ids[1]).is_none());
    let kept = dictionary.get(ids[0]).expect("it was used");
    assert_eq!((kept.count, kept.last_seq, kept.last_epoch), (2, 7, 7));
}

#[test]
fn words_at_one_place_are_templates_until_there_are_too_many() {
    let mut dictionary = Dictionary::new(Options::STANDARD);
    let mut learn = |seq: u64, word: &str| {
        let line = format!("the service {word} has been started");
        (dictionary.learn(seq, seq, &line, &masked(&line)), dictionary.clone())
    };
    let four: Vec<_> = ["cron", "sshd", "nginx", "redis"].iter().map(|w| learn(0, w).0).collect();
    let (fifth, after) = learn(1, "ntpd");
    assert_eq!(after.len(), 1);
    assert_eq!(after.get(fifth).expect("alive").text, "the service <*> has been started");
    assert_eq!(fifth, four[0], "the first of them goes on");
    for id in four {
        assert_eq!(after.resolve(id), fifth);
    }
    assert_eq!(after.get(fifth).expect("alive").count, 5);
}

#[test]
fn a_word_behind_user_is_a_value_at_once_and_a_value_of_a_key_waits() {
    let texts = |lines: &[&str]| {
        let mut dictionary = Dictionary::new(Options::STANDARD);
        for line in lines {
            dictionary.learn(0, 0, line, &masked(line));
        }
        dictionary.iter().map(|template| template.text.clone()).collect::<Vec<_>>()
    };
    let opened = texts(&["opened for user ann", "opened for user bob"]);
    assert_eq!(opened, ["opened for user <*>"]);
    assert_eq!(texts(&["packet was seen act=deny", "packet was seen act=allow"]).len(), 2);
    assert_eq!(texts(&["packet was seen act=deny", "packet was seen do=allow"]).len(), 1);
}

#[test]
fn templates_that_become_equal_are_one_and_the_older_goes_on() {
    let mut dictionary = Dictionary::new(Options { late_wildcard: 1, ..Options::STANDARD });
    let mut learn = |seq: u64, line: &str| dictionary.learn(seq, seq, line, &masked(line));
    let short = learn(0, "copied from the disk to backup 7 in all");
    let long = learn(1, "copied from the disk to backup slowly 7 in all");
    assert_ne!(short, long);
    // `backup <*> <*> in all` says what `backup <*> in all` does.
    assert_eq!(learn(2, "copied from the disk to backup quickly 7 in all"), short);
    assert_eq!(learn(3, "copied from the disk to backup calmly 8 in all"), short);
    assert_eq!(learn(4, "copied from the disk to backup 9 in all"), short);
    assert_eq!(dictionary.resolve(long), short);
    assert_eq!((dictionary.len(), dictionary.iter().map(|t| t.count).sum::<u64>()), (1, 5));
}

#[test]
fn two_lines_whose_hashes_collide_have_two_ids() {
    let mut dictionary = Dictionary::new(Options::STANDARD);
    dictionary.id_bits = 3;
    let lines = ["a", "b c", "d e f"];
    let mut ids: Vec<_> =
        lines.iter().map(|line| dictionary.learn(0, 0, line, &masked(line))).collect();
    ids.sort_unstable();
    assert_eq!(ids, [TemplateId(1), TemplateId(2), TemplateId(3)]);
    for line in lines {
        let id = dictionary.find(&masked(line)).expect("it was learned");
        assert_eq!(dictionary.get(id).expect("alive").text, line);
    }
}

#[test]
fn a_cache_never_changes_an_answer() {
    for seed in 60..64 {
        let lines = lines_by_chance(seed, 4000);
        let mut dictionary = Dictionary::new(TIGHT);
        let mut cache = Cache::default();
        for (seq, line) in (0..).zip(&lines) {
            let masked = masked(line);
            let answer = dictionary.find(&masked);
            assert_eq!(cache.find(&dictionary, &masked), answer);
            assert_eq!(cache.find(&dictionary, &masked), answer);
            if answer.is_none() && seq % 3 == 0 {
                dictionary.learn(seq, seq, line, &masked);
            }
        }
    }
}

#[test]
fn a_million_different_lines_leave_every_part_as_small_as_its_limit() {
    let options = Options { max_leaf: 64, max_templates: 500, ..Options::STANDARD };
    let mut dictionary = Dictionary::new(options);
    let letters = |mut n: u64| {
        let mut word = String::new();
        while n > 0 {
            word.push((b'a' + (n % 26) as u8) as char);
            n /= 26;
        }
        word
    };
    // All begin alike and are of one length, so they meet in one leaf; none is like another.
    for epoch in 0..125 {
        let miss = |seq: u64| {
            let words = (letters(seq + 1), letters(crate::types::hash::mix(seq)));
            let line = format!("it is {} {} {}", words.0, words.1, letters(seq ^ 0xfeed_beef));
            Miss { seq, last_seq: seq, count: 1, line }
        };
        dictionary.merge(epoch, (epoch * 8000..(epoch + 1) * 8000).map(miss).collect());
        assert!(dictionary.len() <= 64);
    }
    dictionary.check();
    assert!(dictionary.next_serial > 999_000);
    // And if they begin differently, in many.
    for epoch in 200..225 {
        let miss = |seq: u64| {
            let line = format!("{} {} it is", letters(crate::types::hash::mix(seq)), letters(seq));
            Miss { seq, last_seq: seq, count: 1, line }
        };
        dictionary.merge(epoch, (epoch * 8000..(epoch + 1) * 8000).map(miss).collect());
        dictionary.check();
    }
}

#[test]
fn lines_as_no_mask_makes_them_are_learned_without_a_panic() {
    let mut dictionary = Dictionary::new(TIGHT);
    let long = "w ".repeat(3 * TOKENS_MAX);
    let odd = ["", " ", "  a   b ", "<*> <*>", "<*> <*> <*> a", "7 7 7", "\n", &long, "=", "k="];
    for (seq, line) in (0..).zip(odd.iter().cycle().take(100)) {
        let miss = Miss { seq, last_seq: seq, count: 1, line: (*line).into() };
        dictionary.merge(seq, vec![miss]);
        dictionary.check();
    }
}

#[test]
fn messages_of_any_characters_are_masked_learned_and_found() {
    let mut chance = Chance(70);
    let mut dictionary = Dictionary::new(TIGHT);
    let mut line = Masked::default();
    for seq in 0..10_000 {
        let characters = (0..chance.below(40)).map(|_| match chance.below(4) {
            0 => char::from_u32(chance.below(0x11_0000) as u32).unwrap_or(' '),
            1 => ' ',
            _ => (33 + chance.below(94)) as u8 as char,
        });
        let message: String = characters.collect();
        mask(&message, &mut line);
        let id = dictionary.learn(seq, seq, &message, &line);
        assert_eq!(dictionary.find(&line), Some(id), "{message:?}");
    }
    dictionary.check();
}
