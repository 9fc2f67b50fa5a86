// An instance that leads its group and one that doesn't, as the READMEs' commands see them.

export const tagKey = "app:isLeader";
export const sinceKey = "app:isLeader:since";
export const groupKey = "aws:autoscaling:groupName";
export const group = "awseb-shop";
export const leaderTags = { [groupKey]: group, [tagKey]: "true", [sinceKey]: "2026-11-23T05:00:00.000Z" };
export const followerTags = { [groupKey]: group };
