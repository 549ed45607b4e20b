//! Random rules on random records: the engine says what the plain meaning says.

use super::*;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const FIELDS: [&str; 5] = ["A", "B", "C", "T", "a.b"];
const PIECES: [&str; 16] =
    ["a", "b", "ab", "abc", "Ba", "-a", "/b", " ", "É", "é", "σ", "ς", "1", "12", "\\", "."];

fn text(random: &mut Random, wildcards: bool) -> String {
    let mut text = String::new();
    for _ in 0..random.below(5) {
        text.push_str(random.pick(&PIECES));
        if wildcards && random.below(6) == 0 {
            text.push_str(random.pick(&["*", "?", "\\*"]));
        }
    }
    text
}

/// A value of a rule as JSON, which is YAML.
fn value(random: &mut Random) -> serde_json::Value {
    match random.below(12) {
        0 => serde_json::json!(random.below(13)),
        1 => serde_json::json!(random.below(2) == 0),
        2 => serde_json::Value::Null,
        _ => serde_json::json!(text(random, true)),
    }
}

fn item(random: &mut Random) -> (String, serde_json::Value) {
    let field = random.pick(&FIELDS);
    let texts = |random: &mut Random, least: usize| {
        let most = if random.below(6) == 0 { 14 } else { 3 };
        let count = least + random.below(most);
        let texts: Vec<String> = (0..count).map(|_| text(random, true)).collect();
        serde_json::json!(texts)
    };
    match random.below(16) {
        0..4 => (field.to_owned(), value(random)),
        4..10 => {
            let way = random.pick(&["contains", "startswith", "endswith"]);
            let more = random.pick(&["", "|all", "|cased", "|windash", "|neq", "|windash|all"]);
            (format!("{field}|{way}{more}"), texts(random, 1))
        }
        10 => {
            let source =
                random.pick(&["a+b", "^ab", "b$", "(ab|ba)c?", "é", "[Aa]b", "a(?!b)", "."]);
            let flags = random.pick(&["", "|i", "|s", "|all"]);
            (format!("{field}|re{flags}"), serde_json::json!([source]))
        }
        11 => {
            let comparison = random.pick(&["lt", "lte", "gt", "gte"]);
            (format!("{field}|{comparison}"), serde_json::json!(random.below(13)))
        }
        12 => {
            let more = random.pick(&["", "|contains", "|startswith", "|endswith", "|neq"]);
            (format!("{field}|fieldref{more}"), serde_json::json!(random.pick(&FIELDS)))
        }
        13 => (format!("{field}|exists"), serde_json::json!(random.below(2) == 0)),
        14 => {
            let networks = ["10.0.0.0/8", "::/0", "10.1.0.0/16"];
            (format!("{field}|cidr"), serde_json::json!([random.pick(&networks)]))
        }
        _ => (format!("{field}|base64offset|contains"), serde_json::json!("abc")),
    }
}

fn selection(random: &mut Random) -> serde_json::Value {
    let map = |random: &mut Random| {
        let items: serde_json::Map<String, serde_json::Value> =
            (0..1 + random.below(3)).map(|_| item(random)).collect();
        serde_json::Value::Object(items)
    };
    match random.below(8) {
        0 => {
            let words: Vec<String> =
                (0..1 + random.below(3)).map(|_| format!("{}x", text(random, true))).collect();
            serde_json::json!(words)
        }
        1 => {
            let words: Vec<String> = (0..2).map(|_| text(random, false)).collect();
            serde_json::json!({"|all": words})
        }
        2 | 3 => {
            let maps: Vec<serde_json::Value> = (0..2).map(|_| map(random)).collect();
            serde_json::json!(maps)
        }
        _ => map(random),
    }
}

const NAMES: [&str; 5] = ["s1", "s2", "f1", "f2", "_h"];

fn condition(random: &mut Random, depth: usize) -> String {
    let leaf = depth == 0 || random.below(3) == 0;
    match (leaf, random.below(6)) {
        (true, 0) => format!("1 of {}", random.pick(&["them", "s*", "f*", "_*"])),
        (true, 1) => format!("all of {}", random.pick(&["them", "s*", "f*"])),
        (true, 2) => "2 of them".to_owned(),
        (true, _) => random.pick(&NAMES).to_owned(),
        (false, 0 | 1) => format!("not {}", condition(random, depth - 1)),
        (false, 2 | 3) => {
            format!("({} or {})", condition(random, depth - 1), condition(random, depth - 1))
        }
        (false, _) => {
            format!("({} and {})", condition(random, depth - 1), condition(random, depth - 1))
        }
    }
}

fn rule(random: &mut Random, number: usize) -> String {
    let mut detection = serde_json::Map::new();
    // Small ones are woken by what others only ask once they are awake.
    let (names, condition) = match random.below(3) {
        0 => (&NAMES[..1], random.pick(&["s1", "not s1"]).to_owned()),
        _ => (&NAMES[..], condition(random, 3)),
    };
    for name in names {
        detection.insert((*name).to_owned(), selection(random));
    }
    detection.insert("condition".to_owned(), serde_json::json!(condition));
    let source = random.pick(&["any", "other"]);
    serde_json::json!({
        "title": format!("rule {number}"), "logsource": {"product": source}, "detection": detection,
    })
    .to_string()
}

/// Named values, one name perhaps several times.
fn fields(random: &mut Random) -> Vec<(&'static str, serde_json::Value)> {
    let mut fields = Vec::new();
    for _ in 0..random.below(6) {
        let value = match random.below(10) {
            0 => serde_json::json!(random.below(13)),
            1 => serde_json::json!(random.below(2) == 0),
            2 => serde_json::Value::Null,
            3 => {
                serde_json::json!(random.pick(&["10.1.2.3", "fe80::1", "YWJj", "eGFiYw==", "12.0"]))
            }
            _ => serde_json::json!(text(random, false)),
        };
        fields.push((random.pick(&["A", "B", "C", "T", "a.b", "A.x", "unasked"]), value));
    }
    fields
}

/// A record of these fields.
fn record<'f>(
    set: &RuleSet,
    fields: impl IntoIterator<Item = &'f (&'static str, serde_json::Value)>,
) -> Record<'f> {
    let mut record = Record::new();
    for (name, value) in fields {
        let value = match value {
            serde_json::Value::String(text) => Value::Text(text),
            serde_json::Value::Number(n) => Value::Int(n.as_i64().expect("whole")),
            serde_json::Value::Bool(is) => Value::Bool(*is),
            _ => Value::Null,
        };
        record.push(set, name, value);
    }
    record
}

/// Gives a record views of the rules' log sources, each with a chance of `n - 1` in `n`.
fn see(random: &mut Random, n: usize, set: &RuleSet, record: &mut Record<'_>) {
    for product in ["any", "other"] {
        if random.below(n) > 0 {
            record.push_view(set.view(&LogSource::new("", product, "")));
        }
    }
}

#[test]
fn the_engine_says_of_random_rules_what_their_plain_meaning_is() {
    let mut random = Random(42);
    let (mut hits, mut misses, mut rules) = (0u64, 0u64, 0);
    // A rule alone is woken by what it asks itself, among many by what others ask as well.
    let sizes = std::iter::repeat_n(60, 40).chain(std::iter::repeat_n(1, 400));
    for size in sizes.chain(std::iter::repeat_n(3, 200)) {
        let texts: Vec<String> = (0..size).map(|number| rule(&mut random, number)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (set, _) = compile(&texts);
        rules += set.len();
        let mut matcher = Matcher::new(&set);
        let mut matched = Vec::new();
        for _ in 0..60 {
            let fields = fields(&mut random);
            let message = text(&mut random, false);
            let mut record = record(&set, &fields);
            record.set_message(&message);
            see(&mut random, 4, &set, &mut record);
            matcher.matches(&record, &mut matched);
            for (number, rule) in set.rules().iter().enumerate() {
                let index = RuleIndex(number as u32);
                let plain = set.applies(index, record.views()) && plain::matches(rule, &record);
                let engine = matched.binary_search(&index).is_ok();
                assert_eq!(
                    engine,
                    plain,
                    "{}\nfields {fields:?}, message {message:?}",
                    texts
                        [rule.meta.file.trim_end_matches(".yml").parse::<usize>().expect("number")]
                );
                if plain {
                    hits += 1;
                } else {
                    misses += 1;
                }
            }
        }
    }
    println!("{rules} rules, {hits} hits, {misses} misses");
    assert!(rules > 1200 && hits > 10_000 && misses > 10_000);
}

#[test]
fn what_is_remembered_of_values_changes_no_match() {
    let mut random = Random(7);
    let mut hits = 0;
    for _ in 0..12 {
        let texts: Vec<String> = (0..60).map(|number| rule(&mut random, number)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (set, _) = compile(&texts);
        let (mut large, mut tiny) = (Matcher::new(&set), Matcher::with_memory(&set, 8, 64));
        let pool: Vec<_> = (0..30).map(|_| fields(&mut random)).collect();
        for _ in 0..400 {
            // Values recur, in other company each time.
            let both = [random.below(pool.len()), random.below(pool.len())];
            let mut record = record(&set, both.iter().flat_map(|one| &pool[*one]));
            let message = &pool[random.below(pool.len())];
            if let Some((_, serde_json::Value::String(text))) = message.first() {
                record.set_message(text);
            }
            see(&mut random, 4, &set, &mut record);
            let (mut fresh, mut matched) = (Vec::new(), Vec::new());
            Matcher::new(&set).matches(&record, &mut fresh);
            for matcher in [&mut large, &mut tiny] {
                matcher.matches(&record, &mut matched);
                assert_eq!(matched, fresh, "{:?}", record.fields());
            }
            hits += fresh.len();
        }
    }
    assert!(hits > 10_000);
}

fn has_keywords(rule: &str) -> bool {
    let rule: serde_json::Value = serde_json::from_str(rule).expect("it was made as JSON");
    NAMES.iter().any(|name| {
        let selection = &rule["detection"][name];
        selection[0].is_string() || !selection["|all"].is_null()
    })
}

#[test]
fn what_is_remembered_of_records_changes_no_match() {
    let mut random = Random(11);
    let (mut hits, mut recalled) = (0, [0; 2]);
    for round in 0..24 {
        let numbers = [3, 1 << 40][round % 2];
        // Where keywords are too short to be scanned for, no record is recalled.
        let mut texts: Vec<String> = (0..30).map(|number| rule(&mut random, number)).collect();
        texts.retain(|rule| round % 3 == 0 || !has_keywords(rule));
        let ids =
            ["{Id: 7}", "{Id|endswith: '393'}", "{Id|contains: 'abc'}", "{Id: null}", "[abcab]"];
        for (number, item) in ids.iter().enumerate() {
            let detection = format!("{{a: {item}, condition: a}}");
            texts.push(format!(
                "title: id {number}\nlogsource: {{product: any}}\ndetection: {detection}\n"
            ));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (set, _) = compile(&texts);
        let (mut large, mut tiny) = (Matcher::new(&set), Matcher::with_memory(&set, 8, 64));
        let pool: Vec<_> = (0..8).map(|_| fields(&mut random)).collect();
        for _ in 0..2_500 {
            // Records recur, but for their number, what nobody asks, and what they say in words.
            let number = match random.below(20) {
                0 => serde_json::Value::Null,
                1 => serde_json::json!(7),
                2 => serde_json::json!("abc"),
                3 => serde_json::json!("É7"),
                _ => serde_json::json!(random.below(numbers)),
            };
            let nobody = serde_json::json!(text(&mut random, false));
            let message = text(&mut random, false);
            let mut own = vec![("Id", number), ("unasked", nobody)];
            if random.below(8) == 0 {
                own.push(("B.x", serde_json::json!(1)));
            }
            let again = &pool[random.below(pool.len())];
            let mut record = record(&set, again.iter().chain(&own));
            if random.below(2) == 0 {
                record.set_message(&message);
            }
            see(&mut random, 8, &set, &mut record);
            let (mut fresh, mut matched) = (Vec::new(), Vec::new());
            Matcher::new(&set).matches(&record, &mut fresh);
            for matcher in [&mut large, &mut tiny] {
                matcher.matches(&record, &mut matched);
                assert_eq!(matched, fresh, "{:?} {:?}", record.fields(), record.message());
            }
            hits += fresh.len();
        }
        recalled[round % 2] += large.counters().recalled;
    }
    println!("{hits} hits, {recalled:?} records recalled");
    assert!(hits > 10_000 && recalled.iter().all(|recalled| *recalled > 2_000));
}
