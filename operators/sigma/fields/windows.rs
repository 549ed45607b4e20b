//! Records of the Windows event log: flat names, and what channel and event id say.
//!
//! The shapes are those that `parse` takes: `evtx_dump` (`Event.System…`, `Event.EventData…`,
//! `Event.UserData.<template>…`), winlogbeat (`winlog.event_data…`) and flat ones (NXLog,
//! `Get-WinEvent`). Names follow the specification: element and attribute are joined by `_`, a
//! `<Data Name="X">` is `X`, spaces are taken out; a name that the header has too becomes
//! `EventData_<name>`. Data without names are `Data`.
//!
//! A record of the audit log that says what Sysmon says has a second view, with Sysmon's names
//! and, where the values differ, Sysmon's values.

use super::super::logsource::{LogSource, View};
use super::pipeline::{Convert, Pattern};
use super::{Condition, Content, NameId, Names, Renames, Row, Value};
use crate::types::hash::Map;
use crate::types::{Batch, Event, event};

/// Channels, in lower case, and the services that they are.
const CHANNELS: &[(&str, &str)] = &[
    ("application", "application"),
    ("security", "security"),
    ("system", "system"),
    ("windows powershell", "powershell-classic"),
    ("dns server", "dns-server"),
    ("msexchange management", "msexchange-management"),
    ("openssh/operational", "openssh"),
    ("powershellcore/operational", "powershell"),
    ("microsoft-iis-configuration/operational", "iis-configuration"),
    ("microsoft-servicebus-client/admin", "servicebus-client microsoft-servicebus-client"),
    ("microsoft-servicebus-client/operational", "servicebus-client microsoft-servicebus-client"),
    (
        "microsoft-windows-application-experience/program-compatibility-assistant",
        "application-experience",
    ),
    ("microsoft-windows-application-experience/program-telemetry", "application-experience"),
    ("microsoft-windows-applocker/exe and dll", "applocker"),
    ("microsoft-windows-applocker/msi and script", "applocker"),
    ("microsoft-windows-applocker/packaged app-deployment", "applocker"),
    ("microsoft-windows-applocker/packaged app-execution", "applocker"),
    ("microsoft-windows-appmodel-runtime/admin", "appmodel-runtime"),
    ("microsoft-windows-appxdeploymentserver/operational", "appxdeployment-server"),
    ("microsoft-windows-appxpackaging/operational", "appxpackaging-om"),
    ("microsoft-windows-bitlocker/bitlocker management", "bitlocker"),
    ("microsoft-windows-bits-client/operational", "bits-client"),
    ("microsoft-windows-capi2/operational", "capi2"),
    (
        "microsoft-windows-certificateservicesclient-lifecycle-system/operational",
        "certificateservicesclient-lifecycle-system",
    ),
    ("microsoft-windows-codeintegrity/operational", "codeintegrity-operational"),
    ("microsoft-windows-dhcp-server/operational", "dhcp"),
    ("microsoft-windows-diagnosis-scripted/operational", "diagnosis-scripted"),
    ("microsoft-windows-dns client events/operational", "dns-client"),
    ("microsoft-windows-dns-client/operational", "dns-client"),
    ("microsoft-windows-dns-server/analytical", "dns-server-analytic"),
    ("microsoft-windows-dns-server/audit", "dns-server-audit"),
    ("microsoft-windows-driverframeworks-usermode/operational", "driver-framework"),
    ("microsoft-windows-hyper-v-worker", "hyper-v-worker"),
    ("microsoft-windows-kernel-eventtracing", "kernel-event-tracing"),
    ("microsoft-windows-kernel-shimengine/diagnostic", "kernel-shimengine"),
    ("microsoft-windows-kernel-shimengine/operational", "kernel-shimengine"),
    ("microsoft-windows-ldap-client/debug", "ldap"),
    ("microsoft-windows-lsa/operational", "lsa-server"),
    ("microsoft-windows-ntfs/operational", "ntfs"),
    ("microsoft-windows-ntlm/operational", "ntlm"),
    ("microsoft-windows-powershell/operational", "powershell"),
    ("microsoft-windows-printservice/admin", "printservice-admin"),
    ("microsoft-windows-printservice/operational", "printservice-operational"),
    ("microsoft-windows-security-mitigations/kernel mode", "security-mitigations"),
    ("microsoft-windows-security-mitigations/user mode", "security-mitigations"),
    ("microsoft-windows-sense/operational", "sense"),
    ("microsoft-windows-shell-core/operational", "shell-core"),
    ("microsoft-windows-smbclient/connectivity", "smbclient-connectivity"),
    ("microsoft-windows-smbclient/security", "smbclient-security"),
    ("microsoft-windows-smbserver/connectivity", "smbserver-connectivity"),
    ("microsoft-windows-sysmon/operational", "sysmon"),
    ("microsoft-windows-taskscheduler/operational", "taskscheduler"),
    (
        "microsoft-windows-terminalservices-localsessionmanager/operational",
        "terminalservices-localsessionmanager",
    ),
    ("microsoft-windows-vhdmp/operational", "vhdmp"),
    ("microsoft-windows-windows defender/operational", "windefend"),
    ("microsoft-windows-windows firewall with advanced security/firewall", "firewall-as"),
    ("microsoft-windows-wmi-activity/operational", "wmi"),
    // Not of Windows, and in its shape.
    ("linux-sysmon/operational", "linux-sysmon"),
    ("rpcfw", "rpcfw"),
];

/// Which categories a service's events are of: service, event ids, a field that must hold one of
/// some texts, category, product, and names of the second view.
type Category = (
    &'static str,
    &'static [i64],
    Option<(&'static str, &'static [&'static str])>,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, How)],
);

/// What becomes of the value under its second name.
#[derive(Clone, Copy)]
enum How {
    Keep,
    Decimal,
    Map(&'static [(&'static str, &'static str)]),
}

use How::{Decimal, Keep, Map as Texts};

const NEW_VALUE: &[&str] = &["%%1904", "New registry value created"];
const DELETED_VALUE: &[&str] = &["%%1906", "Registry value deleted"];
const VALUE: &[&str] =
    &["%%1904", "New registry value created", "%%1905", "Existing registry value modified"];
const REGISTRY: &[(&str, &str, How)] = &[
    ("ProcessName", "Image", Keep),
    ("ProcessId", "ProcessId", Decimal),
    ("SubjectUserName", "User", Keep),
    (
        "OperationType",
        "EventType",
        Texts(&[
            ("%%1904", "SetValue"),
            ("New registry value created", "SetValue"),
            ("%%1905", "SetValue"),
            ("Existing registry value modified", "SetValue"),
            ("%%1906", "DeleteValue"),
            ("Registry value deleted", "DeleteValue"),
        ]),
    ),
];
const PROCESS: &[(&str, &str, How)] = &[
    ("NewProcessName", "Image", Keep),
    ("ParentProcessName", "ParentImage", Keep),
    ("NewProcessId", "ProcessId", Decimal),
    ("ProcessId", "ParentProcessId", Decimal),
    ("SubjectLogonId", "LogonId", Keep),
    ("SubjectUserName", "User", Keep),
    (
        "MandatoryLabel",
        "IntegrityLevel",
        Texts(&[
            ("S-1-16-0", "Untrusted"),
            ("S-1-16-4096", "Low"),
            ("S-1-16-8192", "Medium"),
            ("S-1-16-8448", "MediumPlus"),
            ("S-1-16-12288", "High"),
            ("S-1-16-16384", "System"),
            ("S-1-16-20480", "Protected"),
        ]),
    ),
];
const CONNECTION: &[(&str, &str, How)] = &[
    ("Application", "Image", Keep),
    ("ProcessID", "ProcessId", Keep),
    ("SourceAddress", "SourceIp", Keep),
    ("DestAddress", "DestinationIp", Keep),
    ("DestPort", "DestinationPort", Keep),
    (
        "Direction",
        "Initiated",
        Texts(&[
            ("%%14592", "false"),
            ("Inbound", "false"),
            ("%%14593", "true"),
            ("Outbound", "true"),
        ]),
    ),
    ("Protocol", "Protocol", Texts(&[("6", "tcp"), ("17", "udp")])),
];

const CATEGORIES: &[Category] = &[
    ("sysmon", &[1], None, "process_creation", "windows", &[]),
    ("sysmon", &[2], None, "file_change", "windows", &[]),
    ("sysmon", &[3], None, "network_connection", "windows", &[]),
    ("sysmon", &[4, 16], None, "sysmon_status", "windows", &[]),
    ("sysmon", &[5], None, "process_termination", "windows", &[]),
    ("sysmon", &[6], None, "driver_load", "windows", &[]),
    ("sysmon", &[7], None, "image_load", "windows", &[]),
    ("sysmon", &[8], None, "create_remote_thread", "windows", &[]),
    ("sysmon", &[9], None, "raw_access_thread", "windows", &[]),
    ("sysmon", &[10], None, "process_access", "windows", &[]),
    ("sysmon", &[11], None, "file_event", "windows", &[]),
    ("sysmon", &[12, 13, 14], None, "registry_event", "windows", &[]),
    ("sysmon", &[12], Some(("EventType", &["CreateKey"])), "registry_add", "windows", &[]),
    (
        "sysmon",
        &[12],
        Some(("EventType", &["DeleteKey", "DeleteValue"])),
        "registry_delete",
        "windows",
        &[],
    ),
    ("sysmon", &[13], None, "registry_set", "windows", &[]),
    ("sysmon", &[14], None, "registry_rename", "windows", &[]),
    ("sysmon", &[15], None, "create_stream_hash", "windows", &[]),
    ("sysmon", &[17, 18], None, "pipe_created", "windows", &[]),
    ("sysmon", &[19, 20, 21], None, "wmi_event", "windows", &[]),
    ("sysmon", &[22], None, "dns_query", "windows", &[]),
    ("sysmon", &[23], None, "file_delete", "windows", &[]),
    ("sysmon", &[24], None, "clipboard_capture", "windows", &[]),
    ("sysmon", &[24], None, "clipboard_change", "windows", &[]),
    ("sysmon", &[25], None, "process_tampering", "windows", &[]),
    ("sysmon", &[26], None, "file_delete_detected", "windows", &[]),
    ("sysmon", &[27], None, "file_block_executable", "windows", &[]),
    ("sysmon", &[28], None, "file_block_shredding", "windows", &[]),
    ("sysmon", &[29], None, "file_executable_detected", "windows", &[]),
    ("sysmon", &[255], None, "sysmon_error", "windows", &[]),
    ("powershell", &[4103], None, "ps_module", "windows", &[]),
    ("powershell", &[4104], None, "ps_script", "windows", &[]),
    ("powershell-classic", &[400], None, "ps_classic_start", "windows", &[]),
    ("powershell-classic", &[600], None, "ps_classic_provider_start", "windows", &[]),
    ("powershell-classic", &[800], None, "ps_classic_script", "windows", &[]),
    ("security", &[4688], None, "process_creation", "windows", PROCESS),
    ("security", &[4657], Some(("OperationType", VALUE)), "registry_event", "windows", REGISTRY),
    ("security", &[4657], Some(("OperationType", VALUE)), "registry_set", "windows", &[]),
    ("security", &[4657], Some(("OperationType", NEW_VALUE)), "registry_add", "windows", &[]),
    (
        "security",
        &[4657],
        Some(("OperationType", DELETED_VALUE)),
        "registry_event",
        "windows",
        REGISTRY,
    ),
    (
        "security",
        &[4657],
        Some(("OperationType", DELETED_VALUE)),
        "registry_delete",
        "windows",
        &[],
    ),
    ("security", &[5156], None, "network_connection", "windows", CONNECTION),
    (
        "windefend",
        &[1006, 1007, 1008, 1009, 1010, 1011, 1012, 1017, 1018, 1019, 1115, 1116],
        None,
        "antivirus",
        "",
        &[("ThreatName", "Signature", Keep), ("Path", "Filename", Keep)],
    ),
    ("wmi", &[5861], None, "wmi_event", "windows", &[("PossibleCause", "Destination", Keep)]),
    ("linux-sysmon", &[1], None, "process_creation", "linux", &[]),
    ("linux-sysmon", &[3], None, "network_connection", "linux", &[]),
    ("linux-sysmon", &[5], None, "process_termination", "linux", &[]),
    ("linux-sysmon", &[9], None, "raw_access_thread", "linux", &[]),
    ("linux-sysmon", &[11], None, "file_event", "linux", &[]),
    ("linux-sysmon", &[23], None, "file_delete", "linux", &[]),
    ("rpcfw", &[], None, "application", "rpc_firewall", &[("Channel", "EventLog", Keep)]),
    (
        "",
        &[12],
        Some(("Provider_Name", &["Microsoft-Windows-Kernel-File"])),
        "file_access",
        "windows",
        &[],
    ),
    (
        "",
        &[19, 27],
        Some(("Provider_Name", &["Microsoft-Windows-Kernel-File"])),
        "file_rename",
        "windows",
        &[],
    ),
];

/// Names that shippers have for what is in every record's header, and Sigma's.
const HEADER: &[(&str, &str)] = &[
    ("winlog.channel", "Channel"),
    ("winlog.event_id", "EventID"),
    ("winlog.provider_name", "Provider_Name"),
    ("winlog.provider_guid", "Provider_Guid"),
    ("winlog.computer_name", "Computer"),
    ("winlog.record_id", "EventRecordID"),
    ("winlog.version", "Version"),
    ("winlog.opcode", "Opcode"),
    ("winlog.task", "Task"),
    ("winlog.keywords", "Keywords"),
    ("winlog.process.pid", "Execution_ProcessID"),
    ("winlog.process.thread.id", "Execution_ThreadID"),
    ("winlog.user.identifier", "Security_UserID"),
    ("winlog.activity_id", "Correlation_ActivityID"),
    ("winlog.time_created", "TimeCreated_SystemTime"),
    ("LogName", "Channel"),
    ("ProviderName", "Provider_Name"),
    ("SourceName", "Provider_Name"),
    ("ProviderGuid", "Provider_Guid"),
    ("ProviderId", "Provider_Guid"),
    ("MachineName", "Computer"),
    ("Hostname", "Computer"),
    ("RecordNumber", "EventRecordID"),
    ("RecordId", "EventRecordID"),
    ("ThreadID", "Execution_ThreadID"),
];

/// The log sources that records of Windows can have.
pub(super) fn log_sources() -> impl Iterator<Item = LogSource> {
    let names = CHANNELS.iter().flat_map(|(_, services)| services.split(' '));
    let services = names.map(service);
    let categories = CATEGORIES.iter().map(|row| LogSource::new(row.3, row.4, ""));
    services.chain(categories).chain([service("")])
}

/// A row of [`CATEGORIES`] as others see it.
pub(super) struct CategoryOf {
    pub(super) service: &'static str,
    pub(super) ids: &'static [i64],
    pub(super) source: LogSource,
    /// Names of data, and their second names.
    pub(super) renamed: Vec<(&'static str, &'static str)>,
}

/// Which categories records of Windows can be of.
pub(super) fn categories() -> impl Iterator<Item = CategoryOf> {
    CATEGORIES.iter().map(|(service, ids, _, category, product, second)| CategoryOf {
        service,
        ids,
        source: LogSource::new(category, product, ""),
        renamed: second.iter().map(|(from, to, _)| (*from, *to)).collect(),
    })
}

/// What a name that shippers have for a field of the header is called here.
pub(super) fn header_name(name: &str) -> Option<&'static str> {
    HEADER.iter().find(|(known, _)| *known == name).map(|(_, called)| *called)
}

/// The log source of a service of [`CHANNELS`]; of an unknown channel, that is Windows.
fn service(name: &str) -> LogSource {
    match name {
        "linux-sysmon" => LogSource::new("", "linux", "sysmon"),
        "rpcfw" => LogSource::new("application", "rpc_firewall", ""),
        name => LogSource::new("", "windows", name),
    }
}

/// What a name means in a record of Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing that a rule could ask for.
    Skip,
    /// A field of the header.
    Header(NameId),
    /// A field of the data, and what it is called if the header has one of its name.
    Data(NameId, NameId),
    /// Data without a name.
    Unnamed(NameId, NameId),
    /// The name of the data that follow.
    DataName,
    /// Data whose name came before.
    DataText,
}

/// A category that an event may be of.
struct CategoryRow {
    /// Of [`Tables::services`]; `None` for any.
    service: Option<u16>,
    condition: Option<Condition>,
    view: View,
    renames: Renames,
}

/// A service of [`CHANNELS`].
struct Service {
    name: &'static str,
    view: View,
}

/// The tables above, in the numbers of a rule set.
pub(super) struct Tables {
    services: Vec<Service>,
    /// The services of a channel, by its name as records write it.
    channels: Map<Box<str>, Vec<u16>>,
    /// The rows of [`CATEGORIES`], by event id; those of any id under `None`.
    categories: Map<Option<i64>, Vec<CategoryRow>>,
    any: View,
    channel: NameId,
    event_id: NameId,
    computer: NameId,
    provider: NameId,
    data: NameId,
    object_name: NameId,
    object_value_name: NameId,
    new_value: NameId,
    new_value_type: NameId,
    target_object: NameId,
    details: NameId,
    /// Data of the record at hand whose names the header may have, too.
    waiting: Vec<(NameId, NameId, event::Value)>,
    /// The name of data that follow.
    data_name: Option<NameId>,
}

/// How many spellings of channels are remembered; beyond, all are forgotten.
const CHANNELS_MAX: usize = 4_096;

impl Tables {
    pub(super) fn new(names: &mut Names) -> Self {
        let rules = std::sync::Arc::clone(&names.rules);
        let mut services: Vec<Service> = Vec::new();
        for name in CHANNELS.iter().flat_map(|(_, services)| services.split(' ')) {
            if services.iter().all(|known| known.name != name) {
                services.push(Service { name, view: rules.view(&service(name)) });
            }
        }
        let mut categories: Map<Option<i64>, Vec<CategoryRow>> = Map::default();
        for (service, ids, condition, category, product, second) in CATEGORIES {
            let any = [None];
            let known: Vec<Option<i64>> = ids.iter().map(|id| Some(*id)).collect();
            for id in if ids.is_empty() { &any[..] } else { &known } {
                let mut renames = Renames::default();
                for (from, to, how) in *second {
                    let pairs = |pairs: &[(&str, &str)]| {
                        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
                    };
                    let convert = match how {
                        Keep => Convert::Keep,
                        Decimal => Convert::Decimal,
                        Texts(texts) => Convert::Map(pairs(texts)),
                    };
                    renames.add(names, from, to, convert);
                }
                let position = services.iter().position(|known| known.name == *service);
                categories.entry(*id).or_default().push(CategoryRow {
                    service: position.map(|at| at as u16),
                    condition: condition.map(|(name, any)| Condition {
                        name: names.number(name),
                        any: any.iter().map(|text| Pattern::new(text)).collect(),
                    }),
                    view: rules.view(&LogSource::new(category, product, "")),
                    renames,
                });
            }
        }
        Tables {
            services,
            channels: Map::default(),
            categories,
            any: rules.view(&LogSource::new("", "windows", "")),
            channel: names.number("Channel"),
            event_id: names.number("EventID"),
            computer: names.number("Computer"),
            provider: names.number("Provider_Name"),
            data: names.number("Data"),
            object_name: names.number("ObjectName"),
            object_value_name: names.number("ObjectValueName"),
            new_value: names.number("NewValue"),
            new_value_type: names.number("NewValueType"),
            target_object: names.number("TargetObject"),
            details: names.number("Details"),
            waiting: Vec::new(),
            data_name: None,
        }
    }

    /// Takes a field of the record at hand.
    pub(super) fn take(
        &mut self,
        row: &mut Row,
        names: &mut Names,
        batch: &Batch,
        name: NameId,
        value: event::Value,
    ) {
        let known = names.all[name as usize].meaning;
        let meaning = match known {
            Some(meaning) => meaning,
            None => {
                let meaning = self.meaning(names, name);
                names.all[name as usize].meaning = Some(meaning);
                meaning
            }
        };
        let found = Content::Found(value);
        match meaning {
            Meaning::Skip => {}
            Meaning::Header(name) => {
                if value != event::Value::Null {
                    row.push(name, found);
                }
            }
            Meaning::Data(plain, other) if plain == other => row.push(plain, found),
            Meaning::Data(plain, other) => self.waiting.push((plain, other, value)),
            Meaning::Unnamed(own, data) => {
                if own != data {
                    row.push(own, found);
                }
                row.push(data, found);
            }
            Meaning::DataName => {
                self.data_name = None;
                if let event::Value::Text(text) = value {
                    let text = batch.text(text);
                    self.data_name = Some(match text.contains(' ') {
                        true => names.number(&text.replace(' ', "")),
                        false => names.number(text),
                    });
                }
            }
            Meaning::DataText => row.push(self.data_name.take().unwrap_or(self.data), found),
        }
    }

    /// What a name means: a pure function of the name.
    fn meaning(&self, names: &mut Names, name: NameId) -> Meaning {
        let text = names.all[name as usize].text.clone();
        let plain = text.strip_prefix("Event.").unwrap_or(&text);
        if let Some(header) = plain.strip_prefix("System.") {
            return Meaning::Header(names.number(&joined(header)));
        }
        if let Some(rest) = plain.strip_prefix("EventData.") {
            return match rest {
                "Data" => Meaning::Unnamed(self.data, self.data),
                "Data.#text" | "Data.@text" | "Data.text" | "Data.value" => Meaning::DataText,
                "Data.#attributes.Name" | "Data.@Name" | "Data.Name" => Meaning::DataName,
                _ if rest.starts_with("#attributes.") || rest.starts_with('@') => {
                    Meaning::Header(names.number(&format!("EventData_{}", joined(rest))))
                }
                _ => data(names, rest),
            };
        }
        if let Some(rest) = plain.strip_prefix("UserData.") {
            let (_, rest) = rest.split_once('.').unwrap_or(("", rest));
            let attribute = rest.starts_with("#attributes.") || rest.starts_with('@');
            return if attribute { Meaning::Skip } else { data(names, rest) };
        }
        for prefix in ["winlog.event_data.", "winlog.user_data."] {
            let Some(rest) = plain.strip_prefix(prefix) else { continue };
            let number = rest.strip_prefix("param").unwrap_or("");
            let unnamed = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            return match unnamed {
                true => Meaning::Unnamed(names.number(rest), self.data),
                false => data(names, rest),
            };
        }
        if plain.starts_with("#attributes.") || plain.starts_with('@') && plain.len() < text.len() {
            return Meaning::Skip;
        }
        if let Some((_, known)) = HEADER.iter().find(|(known, _)| *known == plain) {
            return Meaning::Header(names.number(known));
        }
        match plain.contains(' ') {
            true => data(names, plain),
            false => Meaning::Data(name, name),
        }
    }

    /// Makes the record whole: what waited, what every record has, and its views.
    pub(super) fn finish(&mut self, row: &mut Row, batch: &Batch, event: &Event) {
        self.data_name = None;
        for (plain, other, value) in self.waiting.drain(..) {
            let name = if row.has(plain) { other } else { plain };
            row.push(name, Content::Found(value));
        }
        for (name, text) in
            [(self.event_id, event.msgid), (self.computer, event.host), (self.provider, event.app)]
        {
            if !row.has(name) && !text.is_empty() {
                row.push(name, Content::Found(event::Value::Text(text)));
            }
        }
        let channel = row.text(batch, self.channel);
        if !self.channels.contains_key(channel) {
            self.learn(channel);
        }
        let services = &self.channels[channel];
        for service in services {
            row.see(self.services[usize::from(*service)].view);
        }
        if services.is_empty() {
            row.see(self.any);
        }
        let id = row.cells_of(self.event_id).next().map(|cell| row.value(batch, cell));
        let id = match id {
            Some(Value::Int(id)) => Some(id),
            Some(Value::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        let rows = self.categories.get(&id).into_iter().chain(self.categories.get(&None));
        for category in rows.flatten() {
            let of_service = category.service.is_none_or(|service| services.contains(&service));
            let holds = |condition: &Condition| condition.holds(row, batch);
            if of_service && category.condition.as_ref().is_none_or(holds) {
                row.see(category.view);
                category.renames.apply(row, batch);
            }
        }
        if id == Some(4657) && row.has(self.object_name) {
            self.registry_value(row, batch);
        }
    }

    fn learn(&mut self, channel: &str) {
        if self.channels.len() >= CHANNELS_MAX {
            self.channels.clear();
        }
        let lower = channel.to_lowercase();
        let row = CHANNELS.iter().find(|(known, _)| *known == lower);
        let services = row.map_or("", |(_, services)| *services).split(' ');
        let number = |name: &str| self.services.iter().position(|known| known.name == name);
        let services = services.filter_map(number).map(|at| at as u16).collect();
        self.channels.insert(channel.into(), services);
    }

    /// The value of a registry key as Sysmon names and writes it.
    fn registry_value(&self, row: &mut Row, batch: &Batch) {
        let mut made = std::mem::take(&mut row.made);
        let start = made.len();
        let key = row.text(batch, self.object_name);
        let (root, rest) = registry(key).unwrap_or(("", key));
        made.extend([root, rest]);
        let value = row.text(batch, self.object_value_name);
        if !matches!(value, "" | "-") {
            made.extend(["\\", value]);
        }
        let end = made.len();
        // Converters that guess types make numbers of what is a text.
        let mut buffer = String::new();
        let value = row.cells_of(self.new_value).next().map(|cell| row.value(batch, cell));
        let value = value.as_ref().and_then(|value| value.text(&mut buffer)).unwrap_or("");
        let bits = match row.text(batch, self.new_value_type) {
            "%%1876" | "REG_DWORD" => 32,
            "%%1883" | "REG_QWORD" => 64,
            _ => 0,
        };
        let number = match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse::<u64>().ok(),
        };
        match (bits, number) {
            (32, Some(number)) => made.push_str(&format!("DWORD (0x{number:08x})")),
            (64, Some(number)) => {
                let (high, low) = (number >> 32, number & 0xffff_ffff);
                made.push_str(&format!("QWORD (0x{high:08x}-0x{low:08x})"));
            }
            _ => made.push_str(value),
        }
        let after = made.len();
        row.made = made;
        row.push(self.target_object, Content::Made(start as u32, end as u32));
        if after > end {
            row.push(self.details, Content::Made(end as u32, after as u32));
        }
    }
}

/// Names that a header can have.
const HEADER_NAMES: [&str; 10] = [
    "EventID",
    "Version",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "EventRecordID",
    "Channel",
    "Computer",
    "Provider_Name",
];

/// What a field of the data is called.
fn data(names: &mut Names, name: &str) -> Meaning {
    let name = name.strip_suffix(".#text").unwrap_or(name);
    let name = name.replace(' ', "");
    let plain = names.number(&name);
    match HEADER_NAMES.contains(&name.as_str()) {
        true => Meaning::Data(plain, names.number(&format!("EventData_{name}"))),
        false => Meaning::Data(plain, plain),
    }
}

/// `Provider.#attributes.Name` as `Provider_Name`
fn joined(name: &str) -> String {
    let name = name.strip_suffix(".#text").unwrap_or(name);
    let parts = name.split('.').filter(|part| *part != "#attributes");
    let parts: Vec<&str> = parts.map(|part| part.trim_start_matches('@')).collect();
    parts.join("_")
}

/// A key of the kernel's registry: the name that Sysmon has for its root, and the rest.
pub(super) fn registry(key: &str) -> Option<(&'static str, &str)> {
    const ROOTS: [(&str, &str); 2] = [(r"\REGISTRY\MACHINE", "HKLM"), (r"\REGISTRY\USER", "HKU")];
    ROOTS.into_iter().find_map(|(kernel, root)| {
        let head = key.get(..kernel.len())?;
        let rest = &key[kernel.len()..];
        let ends = rest.is_empty() || rest.starts_with('\\');
        (ends && head.eq_ignore_ascii_case(kernel)).then_some((root, rest))
    })
}
