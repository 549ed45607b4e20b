//! Windows events as JSON, in the shapes of `evtx_dump`, winlogbeat, NXLog and their like.
//!
//! Which shape it was shows in the names of the fields, and those stay as they are. A record is a
//! Windows event if it names an event id and a channel.

use super::known::Known;
use super::out::{Draft, Out};
use crate::types::{Format, Text};

/// Notes what a Windows event says about itself; false if it is none.
///
/// Its message is a short text made of what tells one kind of event from another: the text that
/// Windows would show is not in the record, or runs to a page.
pub(super) fn apply(out: &mut Out, known: &Known, draft: &mut Draft<'_>) -> bool {
    let (Some(event_id), Some(channel)) = (known.event_id.get(), known.channel.get()) else {
        return false;
    };
    let provider = known.provider.get().unwrap_or(Text::NONE);
    known.apply(Format::Windows, draft);
    // Where a header names the forwarder, the event knows better where it happened.
    draft.host = known.host.get().unwrap_or(draft.host);
    draft.msgid = event_id;
    if !provider.is_empty() {
        draft.app = provider;
    }
    let mut message = std::mem::take(&mut out.path);
    message.clear();
    for (label, value) in [("EventID=", event_id), (" Channel=", channel), (" Provider=", provider)]
    {
        if !value.is_empty() {
            message.push_str(label);
            message.push_str(out.text(value));
        }
    }
    draft.message = Some(out.write(|scratch| scratch.push_str(&message)));
    out.path = message;
    true
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fields, one};
    use crate::types::{Format, Severity};

    /// Time, host, program, process id, message id, severity.
    fn about(record: &str) -> String {
        let (event, batch) = one(record);
        assert_eq!(event.format, Format::Windows, "{record}");
        let text = |text| batch.text(text);
        format!(
            "{} {} {} {} {} {}",
            event.time,
            text(event.host),
            text(event.app),
            text(event.procid),
            text(event.msgid),
            event.severity.map_or("none", Severity::name)
        )
    }

    const DUMPED: &str = r##"{
      "Event": {
        "#attributes": { "xmlns": "http://schemas.microsoft.com/win/2004/08/events/event" },
        "System": {
          "Provider": { "#attributes": { "Name": "Microsoft-Windows-Sysmon" } },
          "EventID": 1, "Level": 4,
          "TimeCreated": { "#attributes": { "SystemTime": "2025-12-06T21:11:02.649150Z" } },
          "Correlation": null,
          "Execution": { "#attributes": { "ProcessID": 3412, "ThreadID": 7 } },
          "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "ws1"
        },
        "EventData": { "Image": "C:\\Windows\\x.exe", "ProcessId": 6336 }
      }
    }"##;

    #[test]
    fn each_shape_says_who_and_when() {
        let wanted = "2025-12-06T21:11:02.64915Z ws1 Microsoft-Windows-Sysmon 3412 1 info";
        assert_eq!(about(DUMPED), wanted);
        let text_id = DUMPED.replace(
            r#""EventID": 1"#,
            r##""EventID": {"#attributes": {"Qualifiers": ""}, "#text": 1}"##,
        );
        assert_eq!(about(&text_id), wanted);
        let beat = r#"{
          "@timestamp":"2025-12-06T21:11:02.649Z", "message":"Process Create:\nlong",
          "log":{"level":"information"}, "host":{"name":"WS1"},
          "winlog":{
            "channel":"Microsoft-Windows-Sysmon/Operational", "event_id":"1",
            "provider_name":"Microsoft-Windows-Sysmon", "computer_name":"ws1",
            "process":{"pid":3412}, "event_data":{"Image":"x"}
          }
        }"#;
        assert_eq!(
            about(beat),
            "2025-12-06T21:11:02.649Z ws1 Microsoft-Windows-Sysmon 3412 1 info"
        );
        let nxlog = r#"{
          "EventTime":"2025-12-06 21:11:02", "Hostname":"ws1", "Severity":"ERROR",
          "SeverityValue":4, "EventID":4625, "Channel":"Security",
          "SourceName":"Microsoft-Windows-Security-Auditing",
          "Message":"An account failed to log on."
        }"#;
        assert_eq!(
            about(nxlog),
            "2025-12-06T21:11:02Z ws1 Microsoft-Windows-Security-Auditing  4625 error"
        );
        let shell = r#"{
          "Id":4104, "LogName":"PS/Op", "ProviderName":"PS", "MachineName":"ws1",
          "TimeCreated":"\/Date(1765055462000)\/", "LevelDisplayName":"Warning"
        }"#;
        assert_eq!(about(shell), "2025-12-06T21:11:02Z ws1 PS  4104 warning");
    }

    #[test]
    fn fields_keep_their_full_names_and_the_message_names_the_kind() {
        let (event, batch) = one(DUMPED);
        assert_eq!(
            batch.text(event.message),
            "EventID=1 Channel=Microsoft-Windows-Sysmon/Operational \
             Provider=Microsoft-Windows-Sysmon"
        );
        let fields = fields(DUMPED);
        let value = |wanted| {
            let mut values = fields.iter().filter(|(name, _)| name == wanted);
            values.next().map(|(_, value)| value.as_str())
        };
        assert_eq!(value("Event.EventData.Image"), Some("C:\\Windows\\x.exe"));
        assert_eq!(
            value("Event.System.Provider.#attributes.Name"),
            Some("Microsoft-Windows-Sysmon")
        );
        assert_eq!(value("Event.System.Correlation"), Some("null"));
    }

    #[test]
    fn the_event_knows_its_host_better_than_the_header() {
        let record = format!("<14>Nov 22 13:38:00 collector fwd: {}", DUMPED.replace('\n', " "));
        let wanted = "2025-12-06T21:11:02.64915Z ws1 Microsoft-Windows-Sysmon 3412 1 info";
        assert_eq!(about(&record), wanted);
    }
}
