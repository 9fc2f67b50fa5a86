// The stack's metrics by name: the function sends them, alarms and the dashboard show them.

/** The namespace in which CloudWatch keeps them. */
export const metricNamespace = "AsgLeaderElection";

/** Names of the metrics. All have the dimension Stack; leaderChanges is sent with Stack and Group, too. */
export const metricNames = {
    // Of each sweep.
    vacantGroups: "VacantGroups",
    contestedGroups: "ContestedGroups",
    failedElections: "FailedElections",
    // Of each change.
    leaderChanges: "LeaderChanges",
    electionDelay: "ElectionDelay",
    // Only when there is something to count: a metric costs by the hour in which it is sent.
    failedMessages: "FailedMessages",
    failedProtections: "FailedProtections",
    failedReads: "FailedReads",
    flappingGroups: "FlappingGroups",
    sweptLosses: "SweptLosses",
};
