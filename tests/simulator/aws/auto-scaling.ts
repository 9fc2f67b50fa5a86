// Auto Scaling's part of the region: what it answers about groups, and what it refuses.
import { type Actions, awsError, limit } from "./faults";
import type { Member, Region } from "./region";

/** Lifecycle states in which Auto Scaling lets scale-in protection be set. */
const protectable = ["InService", "EnteringStandby", "Standby"];

/** @see https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Operations.html */
export function autoScalingActions(region: Region): Actions {
    return {
        "autoscaling:DescribeAutoScalingGroups": ({
            AutoScalingGroupNames: names = [],
            Filters,
            MaxRecords = 50,
            NextToken,
        }) => {
            limit("MaxRecords", MaxRecords, 100);
            limit("AutoScalingGroupNames", names.length, MaxRecords);
            const groups = [...region.groups.values()].filter(
                ({ name, tags }) => (names.length === 0 || names.includes(name)) && passesTagFilters(tags, Filters),
            );
            const answers = groups.map(({ name, tags, members, desired, protectsNew }) => ({
                AutoScalingGroupName: name,
                DesiredCapacity: desired ?? members.length,
                NewInstancesProtectedFromScaleIn: protectsNew === true,
                Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
                Instances: members
                    .filter(({ id }) => !region.leftOut.groups.has(id))
                    .map((member) => ({
                        InstanceId: member.id,
                        LifecycleState: member.lifecycleState,
                        HealthStatus: member.healthStatus,
                        ProtectedFromScaleIn: member.protected,
                    })),
            }));
            return region.page("AutoScalingGroups", answers, MaxRecords, NextToken);
        },
        "autoscaling:DescribeAutoScalingInstances": ({ InstanceIds: ids = [] }) => {
            limit("InstanceIds", ids.length, 50);
            const listed = [...region.groups.values()].flatMap(({ name, members, warm }) => [
                ...members.map((member) => ({ ...member, name })),
                ...(region.listsWarm ? warm.map((id) => ({ ...warmMember(region, id), name })) : []),
            ]);
            const shown = listed.filter(({ id }) => !region.leftOut.instances.has(id));
            const asked = shown.filter(({ id }) => ids.length === 0 || ids.includes(id));
            return {
                AutoScalingInstances: asked.map((member) => ({
                    InstanceId: member.id,
                    AutoScalingGroupName: member.name,
                    LifecycleState: member.lifecycleState,
                    HealthStatus: member.healthStatus.toUpperCase(),
                    ProtectedFromScaleIn: member.protected,
                })),
            };
        },
        "autoscaling:SetInstanceProtection": ({ AutoScalingGroupName, InstanceIds: ids, ProtectedFromScaleIn }) => {
            limit("InstanceIds", ids.length, 50);
            const members = region.groups.get(AutoScalingGroupName)?.members ?? [];
            for (const id of ids) {
                const member = members.find((one) => one.id === id);
                if (!protectable.includes(member?.lifecycleState ?? "")) {
                    throw awsError(
                        "ValidationError",
                        `The instance ${id} is not part of Auto Scaling group ${AutoScalingGroupName}, ` +
                            "or is not in InService or EnteringStandby or Standby.",
                    );
                }
            }
            for (const member of members.filter(({ id }) => ids.includes(id))) {
                member.protected = ProtectedFromScaleIn;
            }
            return {};
        },
    };
}

const warmMember = (region: Region, id: string): Member => ({
    id,
    lifecycleState: region.state(id) === "running" ? "Warmed:Running" : "Warmed:Stopped",
    healthStatus: "Healthy",
    protected: false,
});

/** Most values of a tag filter: a limit that the field reports, and no API page. */
const mostTagValues = 5;

function passesTagFilters(tags: Record<string, string>, filters: { Name: string; Values: string[] }[] = []): boolean {
    return filters.every(({ Name, Values }) => {
        if (!Name.startsWith("tag:")) {
            throw awsError("ValidationError", `The filter '${Name}' is not known here`);
        }
        limit(`number of values specified for the ${Name} filter type`, Values.length, mostTagValues);
        const value = tags[Name.slice(4)];
        return value !== undefined && Values.includes(value);
    });
}
