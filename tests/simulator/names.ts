// What many tests call a group, its first members, and the tags that the program reads and writes with its default settings.

export const tagKey = "app:isLeader";
export const sinceKey = `${tagKey}:since`;
export const eligibleKey = `${tagKey}:eligible`;
export const pausedKey = `${tagKey}:paused`;
export const shop = "awseb-shop";
const idEnding = (end: string) => `i-1${end.padStart(16, "0")}`;
export const [a, b, c, d] = [idEnding("a"), idEnding("b"), idEnding("c"), idEnding("d")];
