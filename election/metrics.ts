// The stack's metrics by name: the function sends them, alarms and the dashboard show them.

/** The namespace in which CloudWatch keeps them. */
export const metricNamespace = "AsgLeaderElection";

/** Name of a metric. All have the dimension Stack; LeaderChanges is sent with Stack and Group, too. */
export type MetricName =
    // Of each sweep.
    | "VacantGroups"
    | "ContestedGroups"
    | "FailedElections"
    // Of each change.
    | "LeaderChanges"
    | "ElectionDelay"
    // Only when there is something to count: a metric costs by the hour in which it is sent.
    | "FailedMessages"
    | "FailedProtections"
    | "FailedReads"
    | "FlappingGroups"
    | "SweptLosses";
