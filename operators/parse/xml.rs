//! Windows events in XML, as Sysmon for Linux writes them to syslog and as Windows renders them
//! (`<Event><System>…</System><EventData><Data Name="Image">…`), read into the fields that
//! `evtx_dump` makes of the same event in JSON: `Event.System.Provider.#attributes.Name`,
//! `Event.EventData.Image`. Every value is text.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::DEPTH_MAX;
use super::known::{Known, Says};
use super::out::Out;
use crate::types::Value;

/// What holds the data of an event, by names of its own.
const DATA: &str = "Data";
const DATA_NAME: &str = "Name";

/// Whether a text can be an event in XML.
pub(super) fn begins(text: &str) -> bool {
    let rest = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest).trim_ascii_start(),
        None => text,
    };
    let after = rest.strip_prefix("<Event").and_then(|rest| rest.bytes().next());
    matches!(after, Some(b'>' | b' ' | b'\t' | b'\r' | b'\n'))
}

/// Reads an event that is all of `text` into fields. `None` if it is not one; then the caller
/// takes back the fields that were added.
pub(super) fn event(out: &mut Out, known: &mut Known, text: &str) -> Option<()> {
    out.path.clear();
    let mut reader = Reader::from_str(text);
    // Of each open element: how long the path is without it, where what is in it begins, and
    // whether that is text alone.
    let mut open: Vec<(usize, usize, bool)> = Vec::new();
    let mut whole = false;
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let after = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(tag) => {
                if open.len() == DEPTH_MAX || (open.is_empty() && whole) {
                    return None;
                }
                open.last_mut().into_iter().for_each(|(_, _, is_text)| *is_text = false);
                let parent = out.path.len();
                enter(out, known, &tag);
                open.push((parent, after, true));
            }
            Event::Empty(tag) => {
                let (_, _, is_text) = open.last_mut()?;
                *is_text = false;
                let parent = out.path.len();
                if enter(out, known, &tag) {
                    note(out, known, Value::Text(crate::types::Text::NONE));
                } else if tag.attributes_raw().is_empty() {
                    note(out, known, Value::Null);
                }
                out.path.truncate(parent);
            }
            Event::End(_) => {
                let (parent, start, is_text) = open.pop()?;
                if is_text {
                    said(out, known, text.get(start..before)?);
                }
                out.path.truncate(parent);
                whole |= open.is_empty();
            }
            Event::Eof => return (whole && open.is_empty()).then_some(()),
            Event::Text(text) if open.is_empty() && !text.trim_ascii().is_empty() => return None,
            Event::DocType(_) => return None,
            _ => {}
        }
    }
}

/// Appends an element to the path and notes its attributes. True if it is data that has a name,
/// which then stands for the element.
fn enter(out: &mut Out, known: &mut Known, tag: &BytesStart<'_>) -> bool {
    if !out.path.is_empty() {
        out.path.push('.');
    }
    let name = tag.local_name();
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    let attributes = attributes.filter_map(Result::ok);
    if name.as_ref() == DATA
        && let Some(own) = attributes.clone().find(|attribute| attribute.key.as_ref() == DATA_NAME)
    {
        out.path.push_str(&own.value);
        return true;
    }
    out.path.push_str(name.as_ref());
    let parent = out.path.len();
    for attribute in attributes {
        let key = attribute.key;
        if key.as_ref().starts_with("xmlns") {
            continue;
        }
        out.path.push_str(".#attributes.");
        out.path.push_str(key.local_name().as_ref());
        said(out, known, &attribute.value);
        out.path.truncate(parent);
    }
    false
}

/// Notes a text at the path.
fn said(out: &mut Out, known: &mut Known, raw: &str) {
    const CDATA: (&str, &str) = ("<![CDATA[", "]]>");
    let inside = raw.trim_ascii().strip_prefix(CDATA.0).and_then(|rest| rest.strip_suffix(CDATA.1));
    let text = match inside {
        Some(inside) => out.place(inside),
        None if raw.contains('&') => match quick_xml::escape::unescape(raw) {
            Ok(meant) => out.write(|scratch| scratch.push_str(&meant)),
            Err(_) => out.place(raw),
        },
        None => out.place(raw),
    };
    note(out, known, Value::Text(text));
}

fn note(out: &mut Out, known: &mut Known, value: Value) {
    let says = out.field_at_path(None, value);
    if let (true, Value::Text(text)) = (says != Says::Nothing, value) {
        known.note(out, says, value, text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Flags, Format};

    const SYSMON: &str = concat!(
        "Dec  6 21:11:05 web sysmon: <Event><System><Provider Name=\"Linux-Sysmon\" ",
        "Guid=\"{ff032593-a8d3-4f13-b0d6-01fc615a0f97}\"/><EventID>1</EventID>",
        "<Version>5</Version><Level>4</Level><TimeCreated ",
        "SystemTime=\"2025-12-06T21:11:04.500000000Z\"/><EventRecordID>7</EventRecordID>",
        "<Correlation/><Execution ProcessID=\"680\" ThreadID=\"681\"/>",
        "<Channel>Linux-Sysmon/Operational</Channel><Computer>web.lan</Computer>",
        "<Security UserId=\"0\"/></System><EventData><Data Name=\"RuleName\">-</Data>",
        "<Data Name=\"Image\">/usr/bin/curl</Data>",
        "<Data Name=\"CommandLine\">curl &lt;x&gt; &amp;&amp; sh &#65;</Data>",
        "<Data Name=\"User\">root</Data><Data Name=\"Hashes\"></Data></EventData></Event>"
    );

    #[test]
    fn an_event_of_sysmon_for_linux_is_one_of_windows() {
        let (event, batch) = one(SYSMON);
        assert_eq!(event.format, Format::Windows);
        assert_eq!(event.time.to_string(), "2025-12-06T21:11:04.5Z");
        assert_eq!(
            [event.host, event.app, event.msgid].map(|text| batch.text(text)),
            ["web.lan", "Linux-Sysmon", "1"]
        );
        let fields = fields(SYSMON);
        let value = |name: &str| {
            let found = fields.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("Event.System.Provider.#attributes.Name"), Some("Linux-Sysmon"));
        assert_eq!(value("Event.System.EventID"), Some("1"));
        assert_eq!(value("Event.EventData.Image"), Some("/usr/bin/curl"));
        assert_eq!(value("Event.EventData.CommandLine"), Some("curl <x> && sh A"));
        assert_eq!(value("Event.EventData.Hashes"), Some(""));
    }

    #[test]
    fn what_is_no_event_stays_text() {
        for (record, bad) in [
            ("<Event><System>", true),
            ("<Event></System></Event>", true),
            ("<Event><a>1</a></Event> and more", true),
            ("<Event><a>1</a></Event><Event/>", true),
            ("<!DOCTYPE x [<!ENTITY a \"b\">]><Event>&a;</Event>", false),
            ("<Events><a>1</a></Events>", false),
            ("<html>", false),
        ] {
            let (event, batch) = one(record);
            assert_eq!(event.format, Format::Plain, "{record}");
            assert!(batch.fields(&event).is_empty(), "{record}");
            assert_eq!(event.flags.has(Flags::BAD_BODY), bad, "{record}");
        }
        let deep = format!("<Event>{}{}</Event>", "<a>".repeat(500), "</a>".repeat(500));
        assert!(one(&deep).0.flags.has(Flags::BAD_BODY));
        // Nor is it one without an event id and a channel.
        let (event, batch) = one("<Event><a b=\"c\">1</a></Event>");
        assert!(event.format == Format::Plain && batch.fields(&event).is_empty());
    }
}
