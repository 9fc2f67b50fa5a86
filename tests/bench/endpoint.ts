import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { pointSdkAt } from "../simulator/aws/endpoint";
import type { Member } from "../simulator/aws/region";

/** The settings of the stack that is measured. */
export const scope = { asgPrefix: "awseb-", tagKey: "app:isLeader" };

/** Groups as the endpoint shows them: whatever is written to them leaves them as they are. */
export interface Scene {
    groups: { name: string; members: Pick<Member, "id" | "lifecycleState">[] }[];
    leaders: { id: string; group: string; state: string }[];
}

/** A call that was answered; times in milliseconds. */
interface Call {
    action: string;
    start: number;
    end: number;
}

/**
 * Auto Scaling, EC2 and CloudWatch as far as an election asks them, over HTTP, in answers as long as theirs.
 * Every call takes the same time: what it takes to render its answer is within.
 */
export class BenchEndpoint {
    calls: Call[] = [];
    callMillis = 20;
    private server = createServer((request, response) => this.answer(request, response));
    private restoreEnvironment = () => {};
    private groupPages: string[] = [];
    private leaders = "";

    /** Makes clients of processes that are started from now on speak to it. */
    async open(): Promise<void> {
        await once(this.server.listen(0, "127.0.0.1"), "listening");
        this.restoreEnvironment = pointSdkAt(`http://127.0.0.1:${(this.server.address() as AddressInfo).port}`);
    }

    close(): void {
        this.restoreEnvironment();
        this.server.close();
        this.server.closeAllConnections();
    }

    show({ groups, leaders }: Scene): void {
        const pages = Array.from({ length: Math.ceil(groups.length / 100) }, (_, page) =>
            groups.slice(page * 100, (page + 1) * 100),
        );
        this.groupPages = pages.map((some, page) => groupsPage(some, page + 1 < pages.length ? page + 1 : undefined));
        this.leaders = instancesPage(leaders.map((leader) => instanceItem(leader.id, leader.state, leader.group)));
        this.calls = [];
    }

    /** The length of the longest chain of calls each of which began after the one before it was answered. */
    roundTrips(): number {
        const depths: number[] = [];
        for (const [place, { start }] of this.calls.entries()) {
            const before = this.calls.slice(0, place).map(({ end }, other) => (end <= start ? depths[other] : 0));
            depths.push(1 + Math.max(0, ...before));
        }
        return Math.max(0, ...depths);
    }

    private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const body = await text(request);
        const call = { action: "", start: performance.now(), end: Number.NaN };
        this.calls.push(call);
        const form = new URLSearchParams(body);
        const target = request.headers["x-amz-target"] as string | undefined; // CloudWatch speaks JSON
        call.action = target?.split(".")[1] ?? (form.get("Action") as string);
        const answer = Buffer.from(this.body(call.action, form, body.match(/\bi-\w+/g) ?? []));
        await until(call.start + this.callMillis);
        call.end = performance.now();
        response.writeHead(answer.length > 0 ? 200 : 400, { "content-length": answer.length }).end(answer);
    }

    private body(action: string, form: URLSearchParams, ids: string[]): string {
        switch (action) {
            case "DescribeAutoScalingGroups":
                return this.groupPages[Number(form.get("NextToken") ?? 0)];
            case "DescribeInstances":
                return [...form.values()].includes(`tag:${scope.tagKey}`)
                    ? this.leaders
                    : instancesPage(ids.map((id) => instanceItem(id, "running")));
            case "DescribeInstanceStatus":
                return statusesPage(ids);
            case "GetMetricData":
                return metricData(ids);
            case "CreateTags":
            case "DeleteTags":
                return `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>
    <return>true</return>
</${action}Response>`;
            default:
                return "";
        }
    }
}

// A timer alone may be a millisecond late.
async function until(time: number): Promise<void> {
    await setTimeout(time - 2 - performance.now());
    while (performance.now() < time) {
        await new Promise((resolve) => setImmediate(resolve));
    }
}

// Answers like AWS's, with all that an election doesn't read.

function groupsPage(groups: Scene["groups"], next?: number): string {
    return `<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
  <DescribeAutoScalingGroupsResult>
    <AutoScalingGroups>${groups.map(groupMember).join("")}
    </AutoScalingGroups>${next === undefined ? "" : `\n    <NextToken>${next}</NextToken>`}
  </DescribeAutoScalingGroupsResult>
  <ResponseMetadata>
    <RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId>
  </ResponseMetadata>
</DescribeAutoScalingGroupsResponse>`;
}

const account = "123456789012";
const groupArn = `arn:aws:autoscaling:us-east-1:${account}:autoScalingGroup:12345678-1234-1234-1234-${account}`;
const serviceRole = `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRole`;
const groupTags = [
    "Name",
    "elasticbeanstalk:environment-id",
    "elasticbeanstalk:environment-name",
    "team",
    "cost-center",
];

function groupMember({ name, members }: Scene["groups"][number]): string {
    return `
      <member>
        <AutoScalingGroupName>${name}</AutoScalingGroupName>
        <AutoScalingGroupARN>${groupArn}:autoScalingGroupName/${name}</AutoScalingGroupARN>
        <LaunchTemplate>
          <LaunchTemplateId>lt-0a4872e2c396d941c</LaunchTemplateId>
          <LaunchTemplateName>shop</LaunchTemplateName>
          <Version>7</Version>
        </LaunchTemplate>
        <MinSize>1</MinSize>
        <MaxSize>1000</MaxSize>
        <DesiredCapacity>${members.length}</DesiredCapacity>
        <DefaultCooldown>300</DefaultCooldown>
        <AvailabilityZones>
          <member>us-east-1a</member>
          <member>us-east-1b</member>
          <member>us-east-1c</member>
        </AvailabilityZones>
        <LoadBalancerNames/>
        <TargetGroupARNs>
          <member>arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/943f017f100becff</member>
        </TargetGroupARNs>
        <HealthCheckType>ELB</HealthCheckType>
        <HealthCheckGracePeriod>300</HealthCheckGracePeriod>
        <Instances>${members.map(instanceMember).join("")}
        </Instances>
        <CreatedTime>2026-03-01T12:37:18.614Z</CreatedTime>
        <SuspendedProcesses/>
        <VPCZoneIdentifier>subnet-5ea0c127,subnet-6194ea3b,subnet-c934b782</VPCZoneIdentifier>
        <EnabledMetrics/>
        <Tags>${groupTags.map((key) => groupTag(name, key)).join("")}
        </Tags>
        <TerminationPolicies>
          <member>Default</member>
        </TerminationPolicies>
        <NewInstancesProtectedFromScaleIn>false</NewInstancesProtectedFromScaleIn>
        <ServiceLinkedRoleARN>${serviceRole}</ServiceLinkedRoleARN>
        <TrafficSources/>
      </member>`;
}

function instanceMember({ id, lifecycleState }: Scene["groups"][number]["members"][number]): string {
    return `
          <member>
            <InstanceId>${id}</InstanceId>
            <InstanceType>t4g.small</InstanceType>
            <AvailabilityZone>us-east-1a</AvailabilityZone>
            <LifecycleState>${lifecycleState}</LifecycleState>
            <HealthStatus>Healthy</HealthStatus>
            <LaunchTemplate>
              <LaunchTemplateId>lt-0a4872e2c396d941c</LaunchTemplateId>
              <LaunchTemplateName>shop</LaunchTemplateName>
              <Version>7</Version>
            </LaunchTemplate>
            <ProtectedFromScaleIn>false</ProtectedFromScaleIn>
          </member>`;
}

function groupTag(group: string, key: string): string {
    return `
          <member>
            <ResourceId>${group}</ResourceId>
            <ResourceType>auto-scaling-group</ResourceType>
            <Key>${key}</Key>
            <Value>shop</Value>
            <PropagateAtLaunch>true</PropagateAtLaunch>
          </member>`;
}

function instancesPage(items: string[]): string {
    return `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
    <reservationSet>${items.join("")}
    </reservationSet>
</DescribeInstancesResponse>`;
}

/** An instance; with its group's name it is a leader. */
function instanceItem(id: string, state: string, group?: string): string {
    const leaderTags = [
        ["aws:autoscaling:groupName", group],
        [scope.tagKey, "true"],
        [`${scope.tagKey}:since`, "2026-11-20T06:00:00.000Z"],
    ];
    const tags = [...groupTags.map((key) => [key, "shop"]), ...(group === undefined ? [] : leaderTags)];
    return `
        <item>
            <reservationId>r-1234567890abcdef0</reservationId>
            <ownerId>123456789012</ownerId>
            <groupSet/>
            <instancesSet>
                <item>
                    <instanceId>${id}</instanceId>
                    <imageId>ami-bff32ccc</imageId>
                    <instanceState>
                        <code>16</code>
                        <name>${state}</name>
                    </instanceState>
                    <privateDnsName>ip-192-168-1-88.ec2.internal</privateDnsName>
                    <dnsName>ec2-54-194-252-215.compute-1.amazonaws.com</dnsName>
                    <reason/>
                    <amiLaunchIndex>0</amiLaunchIndex>
                    <productCodes/>
                    <instanceType>t4g.small</instanceType>
                    <launchTime>2026-05-08T16:46:19.000Z</launchTime>
                    <placement>
                        <availabilityZone>us-east-1a</availabilityZone>
                        <groupName/>
                        <tenancy>default</tenancy>
                    </placement>
                    <monitoring>
                        <state>disabled</state>
                    </monitoring>
                    <subnetId>subnet-56f5f633</subnetId>
                    <vpcId>vpc-11112222</vpcId>
                    <privateIpAddress>192.168.1.88</privateIpAddress>
                    <ipAddress>54.194.252.215</ipAddress>
                    <sourceDestCheck>true</sourceDestCheck>
                    <groupSet>
                        <item>
                            <groupId>sg-e4076980</groupId>
                            <groupName>shop</groupName>
                        </item>
                    </groupSet>
                    <architecture>arm64</architecture>
                    <rootDeviceType>ebs</rootDeviceType>
                    <rootDeviceName>/dev/xvda</rootDeviceName>
                    <blockDeviceMapping>
                        <item>
                            <deviceName>/dev/xvda</deviceName>
                            <ebs>
                                <volumeId>vol-1234567890abcdef0</volumeId>
                                <status>attached</status>
                                <attachTime>2026-05-08T16:46:20.000Z</attachTime>
                                <deleteOnTermination>true</deleteOnTermination>
                            </ebs>
                        </item>
                    </blockDeviceMapping>
                    <virtualizationType>hvm</virtualizationType>
                    <clientToken>xMcwG14507example</clientToken>
                    <tagSet>${tags.map(([key, value]) => instanceTag(key, value)).join("")}
                    </tagSet>
                    <hypervisor>xen</hypervisor>
                    <networkInterfaceSet>
                        <item>
                            <networkInterfaceId>eni-551ba033</networkInterfaceId>
                            <subnetId>subnet-56f5f633</subnetId>
                            <vpcId>vpc-11112222</vpcId>
                            <description/>
                            <ownerId>123456789012</ownerId>
                            <status>in-use</status>
                            <macAddress>02:dd:2c:5e:01:69</macAddress>
                            <privateIpAddress>192.168.1.88</privateIpAddress>
                            <privateDnsName>ip-192-168-1-88.ec2.internal</privateDnsName>
                            <sourceDestCheck>true</sourceDestCheck>
                            <groupSet>
                                <item>
                                    <groupId>sg-e4076980</groupId>
                                    <groupName>shop</groupName>
                                </item>
                            </groupSet>
                            <attachment>
                                <attachmentId>eni-attach-39697adc</attachmentId>
                                <deviceIndex>0</deviceIndex>
                                <status>attached</status>
                                <attachTime>2026-05-08T16:46:19.000Z</attachTime>
                                <deleteOnTermination>true</deleteOnTermination>
                                <networkCardIndex>0</networkCardIndex>
                            </attachment>
                            <association>
                                <publicIp>54.194.252.215</publicIp>
                                <publicDnsName>ec2-54-194-252-215.compute-1.amazonaws.com</publicDnsName>
                                <ipOwnerId>amazon</ipOwnerId>
                            </association>
                            <privateIpAddressesSet>
                                <item>
                                    <privateIpAddress>192.168.1.88</privateIpAddress>
                                    <privateDnsName>ip-192-168-1-88.ec2.internal</privateDnsName>
                                    <primary>true</primary>
                                </item>
                            </privateIpAddressesSet>
                            <ipv6AddressesSet/>
                            <interfaceType>interface</interfaceType>
                        </item>
                    </networkInterfaceSet>
                    <iamInstanceProfile>
                        <arn>arn:aws:iam::123456789012:instance-profile/shop</arn>
                        <id>ABCAJEDNCAA64SSD123AB</id>
                    </iamInstanceProfile>
                    <ebsOptimized>true</ebsOptimized>
                    <enaSupport>true</enaSupport>
                    <cpuOptions>
                        <coreCount>2</coreCount>
                        <threadsPerCore>1</threadsPerCore>
                    </cpuOptions>
                    <capacityReservationSpecification>
                        <capacityReservationPreference>open</capacityReservationPreference>
                    </capacityReservationSpecification>
                    <hibernationOptions>
                        <configured>false</configured>
                    </hibernationOptions>
                    <metadataOptions>
                        <state>applied</state>
                        <httpTokens>required</httpTokens>
                        <httpPutResponseHopLimit>2</httpPutResponseHopLimit>
                        <httpEndpoint>enabled</httpEndpoint>
                        <instanceMetadataTags>enabled</instanceMetadataTags>
                    </metadataOptions>
                    <enclaveOptions>
                        <enabled>false</enabled>
                    </enclaveOptions>
                    <bootMode>uefi</bootMode>
                    <maintenanceOptions>
                        <autoRecovery>default</autoRecovery>
                    </maintenanceOptions>
                </item>
            </instancesSet>
        </item>`;
}

function instanceTag(key?: string, value?: string): string {
    return `
                        <item>
                            <key>${key}</key>
                            <value>${value}</value>
                        </item>`;
}

function statusesPage(ids: string[]): string {
    const summary = (name: string) => `
            <${name}>
                <status>ok</status>
                <details>
                    <item>
                        <name>reachability</name>
                        <status>passed</status>
                    </item>
                </details>
            </${name}>`;
    const item = (id: string) => `
        <item>
            <instanceId>${id}</instanceId>
            <availabilityZone>us-east-1a</availabilityZone>
            <instanceState>
                <code>16</code>
                <name>running</name>
            </instanceState>${summary("systemStatus")}${summary("instanceStatus")}${summary("attachedEbsStatus")}
        </item>`;
    return `<DescribeInstanceStatusResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>3be1508e-c444-4fef-89cc-0b1223c4f02fEXAMPLE</requestId>
    <instanceStatusSet>${ids.map(item).join("")}
    </instanceStatusSet>
</DescribeInstanceStatusResponse>`;
}

function metricData(ids: string[]): string {
    const results = ids.map((id, place) => ({
        Id: `m${place}`,
        Label: id,
        StatusCode: "Complete",
        Timestamps: [1795500600, 1795500300, 1795500000],
        Values: [12.711864406779661, 14.12345678901234, 13.5],
    }));
    return JSON.stringify({ Messages: [], MetricDataResults: results });
}
