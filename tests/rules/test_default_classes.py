"""What the shipped rules make of class names as tools really send them, by nature and by the way a failure travels."""

import pytest

from opsbridge.core.classes import Nature, Travel
from opsbridge.rules import compile_rules

PROFILES = compile_rules(()).book.profiles

EXPECTED: dict[tuple[str, str], str] = {
    ("symptom", "dependents"): """
        Unreachable  HostUnreachable  device_unreachable  KubeNodeUnreachable  gateway_timeout
        connection_refused  ConnectionPoolTimeout  NE disconnected  tls_handshake_errors  High ICMP ping loss
        Unavailable by ICMP ping  Zabbix agent is not available (for 3m)  PING  ping4  CHECK_PING  PacketLoss
        SyntheticCheckFailed  BlackboxProbeFailed  Liveness probe failed  UnHealthyHostCount  KubePodNotReady
        KubeNodeNotReady  KubeNodeReadinessFlapping  StatusCheckFailed
        underlyingResourceUnavailable  service_outage  Cell out of service  TargetDown  HostDown
        HOST DOWN  host_down  NodeDown  DatabaseDown  BrokerDown  MysqlDown  RedisDown  KubeAPIDown  KubeletDown
        KubeSchedulerDown  HaproxyBackendDown  endpoint_down  device_down  PoolMembersDown  ServiceDegraded
        ServiceFlapping  performanceDegraded  datastore_lost  agent_lost  CheckFailed  MySQL: Service is down
        Errors  Exceptions  KubeClientErrors  KubeAggregatedAPIErrors
        HTTP 503  DNS  HTTP  SSH  etcdHighNumberOfFailedGRPCRequests  PrometheusRuleFailures  call_errors_high:payment
        log_error:Order#12  KubeJobFailed  KubeJobNotCompleted  KubeContainerWaiting  retransmissionRateExcessive
        authenticationFailure  etcdNoLeader  etcdInsufficientMembers  etcdMembersDown  UnderReplicatedPartitions
        UnderReplicated  ReplicationBroken  KafkaOfflinePartitions  ElasticsearchClusterRed
        ElasticsearchUnassignedShards  KubeDeploymentReplicasMismatch  KubeHpaReplicasMismatch  RedisMissingMaster
        NoActiveController  etcdHighNumberOfLeaderChanges  AlertmanagerMembersInconsistent  stack_member_lost
        ha_failover  BackendConnectionErrors  Cannot connect to storage  Lost Storage Connectivity
        circuit_breaker_open  ssl_errors  payment card errors  CreditCardErrors  dashboard_errors  download_errors
        report_generator_errors  dispatch_errors  audio_errors  default_route_lost  successful_request_errors
        smoke_test_failed  login_failed  process_errors  FailedMount  PodPending  StatusCheckFailed_System
        communicationsSubsystemFailure  LANError  queue manager down  SMTP  heartbeat_lost  site_down  BTS_DOWN
        callEstablishmentError  PrometheusNotConnectedToAlertmanagers  No SNMP data collection  NoData
        HeartbeatMissing  MonitoringSilent  ContainerAbsent  KubeStateMetricsListErrors
    """,
    ("symptom", "providers"): """
        workload_low  requests_low  traffic_drop  no_requests  NoTraffic  LowRequestRate  IstioLowTotalRequestRate
        throughput_low  orders_low  consumer_idle  queue_empty  RabbitmqNoConsumer  worker_starvation  requests_high
        traffic_spike  IstioHighRequestRate  Anomalous number of requests  RequestCount  workload_high
        TooManyRequests
    """,
    ("symptom", "both"): """
        latency_p95_high  latency_high  client_latency_high  server_latency_high  network_latency_high
        call_latency_high:currencyservice  call_latency_high:disk-cache  HighLatency  TargetResponseTime
        KubeletPlegDurationHigh  KubeletPodStartUpLatencyHigh  etcdGRPCRequestsSlow  etcdHighFsyncDurations
        MysqlSlowQueries  HostUnusualDiskReadLatency  PostgresqlReplicationLag  ReplicaLag  responseTimeExcessive
        BlackboxSlowProbe  apdex_low  SyntheticCheckSlow  rttMonTimeoutNotification  MysqlSlaveReplicationLag
        DB2 response time  High ICMP ping response time  queue_depth_high  queueSizeExceeded
        RabbitmqTooManyMessagesInQueue  KafkaConsumerLag  consumer_lag_high  ApproximateAgeOfOldestMessage
        ApproximateNumberOfMessagesVisible  IteratorAgeMilliseconds  PrometheusRemoteWriteBehind  message_backlog
        SidekiqQueueSize  bgpBackwardTransition  BgpPeerDown  BGPSessionDown  ospfNbrStateChange  NeighbourLost
        egpNeighborLoss  hsrpStateChange  vrrpTrapNewMaster  vpn_tunnel_down  mplsTunnelDown  BFD session down
        topologyChange  isisAdjacencyChange  lldpRemTablesChange  stp_topology_change  SurgeQueueLength  AIS  MS-AIS
        AU-AIS  RDI  MS-RDI  ODU-BDI  remoteNodeTransmissionError
        availability_low  KubeAPIErrorBudgetBurn  SloBurnRateHigh  error_rate_high  HighErrorRate
        ErrorRate  5xx  http_5xx_rate  HTTPCode_Target_5XX_Count  NginxHighHttp5xxErrorRate  success_rate_low
    """,
    ("cause", "both"): """
        linkDown  link_down  LinkDown  Interface eth0(): Link down  port_down  PortDown  interface_flapping
        NodeNetworkInterfaceFlapping  NodeBondingDegraded  HostNetworkBondDegraded  S1 link failure  LINK_FAIL
        uplink_down  FiberCut  LOS  rx-los  LOF  TU-LOP  lossOfSignal  lossOfFrame  framingError  degradedSignal
        RX_LEVEL_LOW  RSL_LOW  EXC_BER  vswr_high  LaserFailure  SfpRxPowerLow  crc_errors  NodeNetworkReceiveErrs
        HostNetworkReceiveErrors  Interface eth0: High error rate  duplex_mismatch  transmitterFailure  mac_flapping
        Network uplink redundancy lost  X2 link down  OTU2-LOF  T_ALOS  receiverFailure
        Interface eth0: Ethernet has changed to lower speed than it was before  MysqlTooManyConnections
        RedisTooManyConnections  DatabaseConnections  connection_pool_exhausted
    """,
    ("cause", "dependents"): """
        cpu_high  node_cpu_high  HighCPU  CPUUtilization  CPUThrottlingHigh  CPUCreditBalance  load_high  HighLoad
        Load average is too high (per CPU load over 1.5 for 5m)  High CPU utilization (over 90% for 5m)  Current Load
        LOAD  memory_high  High memory usage  NodeMemoryHighUtilization  Lack of available memory (< 20M of 8 GB)
        FreeableMemory  JvmMemoryFillingUp  HostSwapIsFillingUp  High swap space usage (less than 50% free)
        GcTimeHigh  heap_usage_high  syscall_read_high  syscall_write_high  NodeDiskIOSaturation  NodeSystemSaturation
        DiskQueueDepth  HostCpuHighIowait  processor_queue_length  High bandwidth usage  congestion
        thread_pool_exhausted  NodeFileDescriptorLimit  NodeHighNumberConntrackEntriesUsed  KubeletTooManyPods
        KubeHpaMaxedOut  KubeQuotaExceeded  KubeQuotaFullyUsed  DiskFull  HostOutOfDiskSpace  HostOutOfInodes
        disk_full  no_space_left  DiskPressure  BurstBalance  KubePodCrashLooping  AlertmanagerClusterCrashlooping
        process_down  ProcessDown  kernel_panic  OOMKilled  HostOomKillDetected  HostOutOfMemory  outOfMemory
        coldStart  warmStart  PostgresqlRestarted  HostRebooted  has been restarted (uptime < 10m)
        MysqlSlaveIoThreadNotRunning  NodeSystemdServiceFailed  HostSystemdServiceCrashed
        softwareProgramAbnormallyTerminated  PostgresqlDeadLocks  CrashLoopBackOff  Service "nginx" is not running
        power_down  powerProblem  PowerSupplyFailed  jnxPowerSupplyFailure  upsTrapOnBattery  UpsOnBattery
        battery_low  mains_failure  PSU_FAIL  ciscoEnvMonTemperatureNotification  jnxFanFailure  FAN_FAIL
        jnxOverTemperature  HostPhysicalComponentTooHot  HighTemperature  Fan is in critical state  NodeRAIDDegraded
        NodeRAIDDiskFailure  HostRaidDiskFailure  DiskFailed  disk_failed  equipmentMalfunction  card_failure
        board_missing  jnxFruRemoval  HostEdacUncorrectableErrorsDetected  io_error  processorProblem  hardware_error
        memory_errors_ecc  config_error  ConfigChanged  AlertmanagerFailedReload  PrometheusBadConfig
        KubeDeploymentGenerationMismatch  KubeStatefulSetUpdateNotRolledOut  KubeDaemonSetRolloutStuck
        KubeVersionMismatch  ImagePullBackOff  misconfiguration  deployment_failed  entConfigChange  UNEQ
        configurationOrCustomizationError  NodeClockSkewDetected  NodeClockNotSynchronising
        System time is out of sync  NTP  timingProblem  HostCpuStealNoisyNeighbor  PostgresqlTooManyLocksAcquired
        Too many processes on server  process_cpu_high  tablespace full  archive log full  dhcp_pool_exhausted
        cpuCyclesLimitExceeded  pumpFailure  temperatureUnacceptable  cefcFanTrayStatusChange  cefcModuleStatusChange
        ciscoEnvMonSupplyStatusChangeNotif  ioDeviceError  corruptData  CreateContainerConfigError  ErrImagePull
        PodEvicted  GPS lost  node_memory_pressure  softwareError  ThrottledRequests  CertificateExpired
        BlackboxSslCertificateExpired  license_expired
    """,
    ("cause", "nowhere"): """
        CertificateExpiry  certificate_expiry  KubeClientCertificateExpiration  BlackboxSslCertificateWillExpireSoon
        disk_usage_high  DiskUsage  DiskPrediction  NodeFilesystemAlmostOutOfSpace  NodeFilesystemSpaceFillingUp
        KubePersistentVolumeFillingUp  HostDiskWillFillIn24Hours  FreeStorageSpace
        /: Disk space is critically low (used > 90%)  resourceAtOrNearingCapacity  storageCapacityProblem
        Oracle tablespace usage  ContainerVolumeUsage  ssl_cert  check_disk  Root Partition  KubeMemoryOvercommit
        KubeQuotaAlmostFull  KubeCPUOvercommit  etcdDatabaseQuotaLowSpace
    """,
    ("symptom", "nowhere"): """
        BackupFailed  backup_failed  Backup job failed on db1  snapshot_failed  enclosureDoorOpen  HostRequiresReboot
    """,
    ("unknown", "dependents"): """
        alarm_11  PrinterJam  close  SomethingElse  thresholdCrossed  linkUp  successfully done  Watchdog  domains
    """,
}
"""(nature, travels) -> classes, two spaces between them, since some hold one."""


def listed() -> list[tuple[str, str, str]]:
    return [
        (name, *profile)
        for profile, text in EXPECTED.items()
        for line in text.strip().splitlines()
        for name in line.strip().split("  ")
    ]


def test_the_table_is_long_enough_to_mean_something_and_says_nothing_twice() -> None:
    names = [name for name, _, _ in listed()]
    assert len(names) > 250
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "nature", "travels"), listed())
def test_a_class(name: str, nature: str, travels: str) -> None:
    profile = PROFILES(name)
    assert (profile.nature, profile.travels) == (Nature(nature), Travel(travels)), profile.rule
