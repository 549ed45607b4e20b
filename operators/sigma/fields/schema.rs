//! Which fields records have, where their maker or our own reading says so for good.
//!
//! Facts of public schemas: Sysmon's (up to 4.91), Microsoft's descriptions of events of the
//! audit log and of PowerShell, `systemd.journal-fields(7)`, W3C's extended log format and the
//! names that Sigma's taxonomy has for it. Names are parted by spaces.
//!
//! What is not here is open: services with hundreds of events, clouds, products that send pairs
//! or JSON as they like, and what consumers of a trace session add to it.

/// What every record of Windows may have besides its data: the header as we name it, and what
/// those who forward it write beside it (NXLog, `Get-WinEvent`, winlogbeat).
pub(super) const WINDOWS: &str = "\
    Provider_Name Provider_Guid Provider_EventSourceName EventID EventID_Qualifiers Version Level \
    Task Opcode Keywords TimeCreated_SystemTime EventRecordID Correlation Correlation_ActivityID \
    Correlation_RelatedActivityID Execution_ProcessID Execution_ThreadID Channel Computer Security \
    Security_UserID EventData EventData_Name UserData Data \
    EventTime EventTimeWritten EventReceivedTime EventType SeverityValue Severity OpcodeValue \
    ActivityID RelatedActivityID ProcessID ExecutionProcessID Domain AccountName UserID \
    AccountType Message Category SourceModuleName SourceModuleType \
    Id Qualifiers ProcessId ThreadId UserId TimeCreated ActivityId RelatedActivityId ContainerLog \
    MatchedQueryIds Bookmark LevelDisplayName OpcodeDisplayName TaskDisplayName \
    KeywordsDisplayNames Properties StringInserts RecordType TimeZone \
    message tags @timestamp @version host type";

/// What data without names are called; winlogbeat counts them, `param1` and so on.
pub(super) const UNNAMED: &str = "Data Binary";

/// Events of Windows and of what writes as it does: service, event ids, fields.
pub(super) const EVENTS: &[(&str, &[i64], &str)] = &[
    (
        "sysmon",
        &[1],
        "RuleName UtcTime ProcessGuid ProcessId Image FileVersion Description Product Company \
         OriginalFileName CommandLine CurrentDirectory User LogonGuid LogonId TerminalSessionId \
         IntegrityLevel Hashes ParentProcessGuid ParentProcessId ParentImage ParentCommandLine \
         ParentUser",
    ),
    (
        "sysmon",
        &[2],
        "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime \
         PreviousCreationUtcTime User",
    ),
    (
        "sysmon",
        &[3],
        "RuleName UtcTime ProcessGuid ProcessId Image User Protocol Initiated SourceIsIpv6 \
         SourceIp SourceHostname SourcePort SourcePortName DestinationIsIpv6 DestinationIp \
         DestinationHostname DestinationPort DestinationPortName",
    ),
    ("sysmon", &[4], "UtcTime State EventData_Version SchemaVersion"),
    ("sysmon", &[5], "RuleName UtcTime ProcessGuid ProcessId Image User"),
    ("sysmon", &[6], "RuleName UtcTime ImageLoaded Hashes Signed Signature SignatureStatus"),
    (
        "sysmon",
        &[7],
        "RuleName UtcTime ProcessGuid ProcessId Image ImageLoaded FileVersion Description Product \
         Company OriginalFileName Hashes Signed Signature SignatureStatus User",
    ),
    (
        "sysmon",
        &[8],
        "RuleName UtcTime SourceProcessGuid SourceProcessId SourceImage TargetProcessGuid \
         TargetProcessId TargetImage NewThreadId StartAddress StartModule StartFunction SourceUser \
         TargetUser",
    ),
    ("sysmon", &[9], "RuleName UtcTime ProcessGuid ProcessId Image Device User"),
    (
        "sysmon",
        &[10],
        "RuleName UtcTime SourceProcessGUID SourceProcessId SourceThreadId SourceImage \
         TargetProcessGUID TargetProcessId TargetImage GrantedAccess CallTrace SourceUser \
         TargetUser",
    ),
    (
        "sysmon",
        &[11],
        "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime User",
    ),
    ("sysmon", &[12], "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject User"),
    (
        "sysmon",
        &[13],
        "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject Details User",
    ),
    (
        "sysmon",
        &[14],
        "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject NewName User",
    ),
    (
        "sysmon",
        &[15],
        "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime Hash \
         Contents User",
    ),
    ("sysmon", &[16], "UtcTime Configuration ConfigurationFileHash"),
    ("sysmon", &[17, 18], "RuleName EventType UtcTime ProcessGuid ProcessId PipeName Image User"),
    ("sysmon", &[19], "RuleName EventType UtcTime Operation User EventNamespace Name Query"),
    ("sysmon", &[20], "RuleName EventType UtcTime Operation User Name Type Destination"),
    ("sysmon", &[21], "RuleName EventType UtcTime Operation User Consumer Filter"),
    (
        "sysmon",
        &[22],
        "RuleName UtcTime ProcessGuid ProcessId QueryName QueryStatus QueryResults Image User",
    ),
    (
        "sysmon",
        &[23],
        "RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes IsExecutable \
         Archived",
    ),
    (
        "sysmon",
        &[24],
        "RuleName UtcTime ProcessGuid ProcessId Image Session ClientInfo Hashes Archived User",
    ),
    ("sysmon", &[25], "RuleName UtcTime ProcessGuid ProcessId Image Type User"),
    (
        "sysmon",
        &[26, 27, 28, 29],
        "RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes IsExecutable",
    ),
    ("sysmon", &[255], "RuleName UtcTime ID Description"),
    ("powershell", &[4103], "ContextInfo UserData Payload"),
    ("powershell", &[4104], "MessageNumber MessageTotal ScriptBlockText ScriptBlockId Path"),
    ("powershell-classic", &[400, 600, 800], UNNAMED),
    (
        "security",
        &[4688],
        "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId NewProcessId \
         NewProcessName TokenElevationType ProcessId CommandLine TargetUserSid TargetUserName \
         TargetDomainName TargetLogonId ParentProcessName MandatoryLabel",
    ),
    (
        "security",
        &[4657],
        "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId ObjectName \
         ObjectValueName HandleId OperationType OldValueType OldValue NewValueType NewValue \
         ProcessId ProcessName TargetObject Details",
    ),
    (
        "security",
        &[5156],
        "ProcessID Application Direction SourceAddress SourcePort DestAddress DestPort Protocol \
         InterfaceIndex FilterOrigin FilterRTID LayerName LayerRTID RemoteUserID RemoteMachineID \
         OriginalProfile CurrentProfile IsLoopback HasRemoteDynamicKeywordAddress",
    ),
    ("wmi", &[5861], "Namespace ESS CONSUMER PossibleCause"),
];

/// Services of [`EVENTS`] that have no other events, as `category/product/service`.
pub(super) const SERVICES: &[(&str, &str)] = &[
    ("sysmon", "/windows/sysmon"),
    ("sysmon", "/linux/sysmon"),
    ("powershell-classic", "/windows/powershell-classic"),
];

/// What lines of text have from those who carry them: journald, and shippers of files.
pub(super) const CARRIED: &str = "\
    MESSAGE MESSAGE_ID PRIORITY CODE_FILE CODE_LINE CODE_FUNC ERRNO INVOCATION_ID \
    USER_INVOCATION_ID SYSLOG_FACILITY SYSLOG_IDENTIFIER SYSLOG_PID SYSLOG_TIMESTAMP SYSLOG_RAW \
    DOCUMENTATION TID UNIT USER_UNIT _PID _UID _GID _COMM _EXE _CMDLINE _CAP_EFFECTIVE \
    _AUDIT_SESSION _AUDIT_LOGINUID _SYSTEMD_CGROUP _SYSTEMD_SLICE _SYSTEMD_UNIT \
    _SYSTEMD_USER_UNIT _SYSTEMD_USER_SLICE _SYSTEMD_SESSION _SYSTEMD_OWNER_UID \
    _SYSTEMD_INVOCATION_ID _SELINUX_CONTEXT _SOURCE_REALTIME_TIMESTAMP \
    _SOURCE_BOOTTIME_TIMESTAMP _SOURCE_MONOTONIC_TIMESTAMP _BOOT_ID _MACHINE_ID _HOSTNAME \
    _TRANSPORT _STREAM_ID _LINE_BREAK _NAMESPACE _RUNTIME_SCOPE __CURSOR __REALTIME_TIMESTAMP \
    __MONOTONIC_TIMESTAMP __SEQNUM __SEQNUM_ID \
    message tags @timestamp @version timestamp host hostname type source input stream offset";

/// Programs whose lines are sentences, and what we read of them, as `category/product/service`.
///
/// `linux/auth`, `linux/syslog` and `linux/auditd` are not here: whoever writes to them may write
/// `key=value`.
pub(super) const LINES: &[(&str, &str)] = &[
    ("/linux/sshd", ""),
    ("/linux/sudo", "SUDO_USER TTY PWD USER GROUP ENV TSID COMMAND"),
    ("/linux/cron", ""),
    ("/linux/clamav", ""),
    ("/linux/vsftpd", ""),
    ("/linux/guacamole", ""),
];

/// Log sources whose records come from makers with names of their own, and the names that rules
/// may rely on. Another name is not wrong; what is nearly one of these is.
pub(super) const COMMON: &[(&str, &str)] = &[
    (
        "webserver//",
        "date time c-ip c-port cs-username cs-method cs-uri cs-uri-stem cs-uri-query c-uri \
         c-uri-stem c-uri-query c-uri-extension cs-version cs-host cs-user-agent c-useragent \
         cs-cookie cs-referer cs-referrer cs-content-type cs-bytes s-ip s-port s-sitename \
         s-computername sc-status sc-substatus sc-win32-status sc-bytes time-taken src_ip",
    ),
    (
        "proxy//",
        "date time c-ip c-port c-uri c-uri-stem c-uri-query c-uri-extension c-useragent \
         cs-username cs-method cs-uri cs-uri-stem cs-uri-query cs-uri-extension cs-uri-scheme \
         cs-uri-port cs-user-agent cs-version cs-host cs-cookie cs-referer cs-referrer cs-bytes \
         s-ip s-port s-action r-dns r-ip r-port rs-content-type sc-status sc-bytes \
         sc-filter-result time-taken src_ip src_port dst_ip dst_port",
    ),
    (
        "dns//",
        "query queries answer answers record_type parent_domain src_ip src_port dst_ip dst_port",
    ),
    (
        "firewall//",
        "action blocked protocol src_ip src_port dst_ip dst_port src_host dst_host in_interface \
         out_interface",
    ),
    ("antivirus//", "Signature Filename Action Message Computer ComputerName Username"),
];
