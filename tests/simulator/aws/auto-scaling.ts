// Auto Scaling's part of the region: what it answers about groups, and what it refuses.
import { tagsIn } from "./ec2";
import { type Actions, limit, refuseIf } from "./faults";
import type { Member, Region } from "./region";

/** Lifecycle states in which Auto Scaling lets scale-in protection be set. */
const protectable = ["InService", "EnteringStandby", "Standby"];

/** @see https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Operations.html */
export function autoScalingActions(region: Region): Actions {
    return {
        "autoscaling:DescribeAutoScalingGroups": ({ AutoScalingGroupNames, Filters, MaxRecords = 50, NextToken }) => {
            const names: string[] = AutoScalingGroupNames ?? [];
            limit("MaxRecords", MaxRecords, 100);
            limit("AutoScalingGroupNames", names.length, MaxRecords);
            const groups = [...region.groups.values()].filter(
                ({ name, tags }) => (names.length === 0 || names.includes(name)) && passesTagFilters(tags, Filters),
            );
            const answers = groups.map(({ name, tags, members, desired, protectsNew }) => ({
                AutoScalingGroupName: name,
                DesiredCapacity: desired ?? members.length,
                NewInstancesProtectedFromScaleIn: protectsNew === true,
                Tags: tagsIn(tags),
                Instances: members.filter(({ id }) => !region.leftOut.groups.has(id)).map(shown),
            }));
            return region.page("AutoScalingGroups", answers, MaxRecords, NextToken);
        },
        "autoscaling:DescribeAutoScalingInstances": ({ InstanceIds: ids = [] }) => {
            limit("InstanceIds", ids.length, 50);
            const listed = [...region.groups.values()].flatMap(({ name, members, warm }) => {
                const inPool = region.meagre ? [] : warm.map((id) => warmMember(region, id));
                return [...members, ...inPool].map((member) => ({ ...member, name }));
            });
            const shownIds = (id: string) => ids.length === 0 || ids.includes(id);
            const asked = listed.filter(({ id }) => shownIds(id) && !region.leftOut.instances.has(id));
            return {
                AutoScalingInstances: asked.map((member) => ({
                    ...shown(member),
                    AutoScalingGroupName: member.name,
                    HealthStatus: member.healthStatus.toUpperCase(),
                })),
            };
        },
        "autoscaling:SetInstanceProtection": ({ AutoScalingGroupName, InstanceIds: ids, ProtectedFromScaleIn }) => {
            limit("InstanceIds", ids.length, 50);
            const members = (region.groups.get(AutoScalingGroupName)?.members ?? []).filter(
                ({ id, lifecycleState }) => ids.includes(id) && protectable.includes(lifecycleState),
            );
            const message = `not part of ${AutoScalingGroupName}, or not in InService or EnteringStandby or Standby`;
            refuseIf(members.length < ids.length, "ValidationError", `An instance is ${message}.`);
            for (const member of members) {
                member.protected = ProtectedFromScaleIn;
            }
            return {};
        },
    };
}

const shown = (member: Member) => ({
    InstanceId: member.id,
    LifecycleState: member.lifecycleState,
    HealthStatus: member.healthStatus,
    ProtectedFromScaleIn: member.protected,
});

const warmMember = (region: Region, id: string): Member => ({
    id,
    lifecycleState: region.state(id) === "running" ? "Warmed:Running" : "Warmed:Stopped",
    healthStatus: "Healthy",
    protected: false,
});

function passesTagFilters(tags: Record<string, string>, filters: { Name: string; Values: string[] }[] = []): boolean {
    return filters.every(({ Name, Values }) => {
        refuseIf(!Name.startsWith("tag:"), "ValidationError", `The filter '${Name}' is not known here`);
        // This limit is reported by the field, and by no API page.
        limit(`number of values specified for the ${Name} filter type`, Values.length, 5);
        const value = tags[Name.slice(4)];
        return value !== undefined && Values.includes(value);
    });
}
