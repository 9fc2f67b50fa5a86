// The stack's metrics by name: the function sends them, alarms and the dashboard show them.

/** The namespace in which CloudWatch keeps them. */
export const metricNamespace = "AsgLeaderElection";

/** Names of the metrics. All have the dimension Stack; LeaderChanges is sent with Stack and Group, too. */
export const metricNames = [
    // Of each sweep.
    "VacantGroups",
    "ContestedGroups",
    "FailedElections",
    // Of each change.
    "LeaderChanges",
    "ElectionDelay",
    // Only when there is something to count: a metric costs by the hour in which it is sent.
    "FailedMessages",
    "FailedProtections",
    "FailedReads",
    "FlappingGroups",
    "SweptLosses",
] as const;

export type MetricName = (typeof metricNames)[number];
