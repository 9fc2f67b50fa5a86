// The packaged function against an endpoint that fails as AWS does: what is tried again, and what it says when it gives up.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { invoke, pointSdkAt, type Reports } from "../simulator/aws/endpoint";
import { sweepEvent } from "../simulator/aws/events";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import { type Program, runProgram } from "../simulator/stack/program";

/** An answer, or how there is none. */
type Answer = { status: number; body: string } | "hangs" | "breaks";

interface Call {
    action: string;
    ids: string[];
}

const ok = (body: string): Answer => ({ status: 200, body });
const ec2Error = (status: number, code: string, message = ""): Answer => ({
    status,
    body: `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors></Response>`,
});
const queryError = (status: number, code: string): Answer => ({
    status,
    body: `<ErrorResponse><Error><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
});
const jsonError = (status: number, code: string): Answer => ({ status, body: JSON.stringify({ __type: code }) });

describe("The packaged function, when AWS fails", () => {
    const server = createServer(answer);
    let program: Program;
    let restoreEnvironment = () => {};
    let handler: Handler;
    /** Members of the groups: all of them running, none a leader. */
    let groups: Record<string, string[]>;
    let calls: Call[];
    /** What goes wrong with a call; `before` counts the calls of the same action before it. */
    let fault: (call: Call, before: number) => Answer | undefined;

    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-" } });
        await once(server.listen(0, "127.0.0.1"), "listening");
        restoreEnvironment = pointSdkAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });

    after(() => {
        restoreEnvironment();
        server.close();
        server.closeAllConnections();
    });

    beforeEach(() => {
        handler = startContainer(program);
        groups = { "awseb-shop": ["i-1", "i-2"] };
        calls = [];
        fault = () => undefined;
    });

    async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const body = await text(request);
        const form = new URLSearchParams(body);
        const target = request.headers["x-amz-target"] as string | undefined; // CloudWatch speaks JSON
        const call = {
            action: target?.split(".")[1] ?? (form.get("Action") as string),
            ids: [...new Set(body.match(/\bi-\w+/g))],
        };
        const before = callsOf(call.action).length;
        calls.push(call);
        const given = fault(call, before) ?? answers(call);
        if (given === "breaks") {
            request.socket.destroy();
        } else if (given !== "hangs") {
            response.writeHead(given.status).end(given.body);
        }
    }

    function answers({ action, ids }: Call): Answer {
        const items = (item: (id: string) => string) => ids.map((id) => `<item>${item(id)}</item>`).join("");
        const members = (list: string[]) => list.map((member) => `<member>${member}</member>`).join("");
        const member = (id: string) =>
            `<InstanceId>${id}</InstanceId><LifecycleState>InService</LifecycleState><HealthStatus>Healthy</HealthStatus>`;
        const group = (name: string) =>
            `<AutoScalingGroupName>${name}</AutoScalingGroupName><Instances>${members(groups[name].map(member))}</Instances>`;
        const instance = (id: string) =>
            `<instanceId>${id}</instanceId><instanceState><name>running</name></instanceState>`;
        const bodies: Record<string, string> = {
            DescribeAutoScalingGroups: `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>${members(
                Object.keys(groups).map(group),
            )}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
            // Asked for ids while ranking, and without, for leaders, while observing.
            DescribeInstances: `<DescribeInstancesResponse><reservationSet><item><instancesSet>${items(instance)}</instancesSet></item></reservationSet></DescribeInstancesResponse>`,
            DescribeInstanceStatus: "<DescribeInstanceStatusResponse/>",
            GetMetricData: "{}",
            CreateTags: "<CreateTagsResponse><return>true</return></CreateTagsResponse>",
        };
        return action in bodies ? ok(bodies[action]) : ec2Error(400, "InvalidAction");
    }

    const callsOf = (action: string) => calls.filter((call) => call.action === action);
    const idsTried = () => callsOf("CreateTags").flatMap(({ ids }) => ids);
    const sweep = (): Promise<Reports> => invoke(handler, [JSON.stringify(sweepEvent(Date.now()))]);

    describe("tries again", () => {
        for (const [action, what, failure] of [
            ["CreateTags", "another command is at the instance's tags", ec2Error(400, "ConcurrentTagAccess")],
            ["CreateTags", "there are too many requests", ec2Error(503, "RequestLimitExceeded")],
            ["DescribeInstances", "there are too many requests", ec2Error(503, "RequestLimitExceeded")],
            ["DescribeAutoScalingGroups", "there are too many requests", queryError(400, "Throttling")],
            ["DescribeAutoScalingGroups", "AWS has an internal error", queryError(500, "InternalFailure")],
            ["DescribeInstances", "the connection breaks", "breaks"],
        ] as const) {
            it(`${action} when ${what}`, async () => {
                fault = (call, before) => (call.action === action && before === 0 ? failure : undefined);
                const [report] = await sweep();
                expect(report.outcome).to.equal("elected");
                expect(callsOf("CreateTags").at(-1)?.ids).to.deep.equal([report.leader]);
            });
        }

        it("after two seconds without an answer", async () => {
            const start = Date.now();
            fault = ({ action }, before) =>
                action === "DescribeAutoScalingGroups" && before === 0 ? "hangs" : undefined;
            const [report] = await sweep();
            expect(report.outcome).to.equal("elected");
            expect(callsOf("DescribeAutoScalingGroups")).to.have.length(2);
            expect(Date.now() - start).to.be.within(1900, 4000);
        });

        it("three times at most, and then the group's election has failed", async () => {
            fault = ({ action }) => (action === "CreateTags" ? ec2Error(500, "InternalError") : undefined);
            const [report] = await sweep();
            expect(report.outcome).to.equal("failed");
            expect(report.reason).to.contain("InternalError");
            expect(idsTried()).to.have.length(4);
        });
    });

    describe("tags the next in rank", () => {
        for (const code of ["InvalidInstanceID.NotFound", "TagLimitExceeded"]) {
            it(`when the first is refused with ${code}`, async () => {
                fault = ({ action, ids: [id] }, before) =>
                    action === "CreateTags" && before === 0 ? ec2Error(400, code, `The instance '${id}'`) : undefined;
                const [report] = await sweep();
                expect(report.outcome).to.equal("elected");
                expect(idsTried()).to.have.members(["i-1", "i-2"]);
                expect(report.leader).to.equal(idsTried()[1]);
            });
        }
    });

    describe("goes without", () => {
        for (const [action, what, failure] of [
            ["DescribeInstanceStatus", "status checks that it may not read", ec2Error(403, "UnauthorizedOperation")],
            ["GetMetricData", "load that it may not read", jsonError(400, "AccessDeniedException")],
            ["DescribeInstanceStatus", "status checks that don't come", "hangs"],
            ["GetMetricData", "load that doesn't come", "hangs"],
        ] as const) {
            it(what, async () => {
                const start = Date.now();
                fault = (call) => (call.action === action ? failure : undefined);
                const [report] = await sweep();
                expect(report.outcome).to.equal("elected");
                expect(idsTried()).to.deep.equal([report.leader]);
                expect(Date.now() - start, "leaves time for a hand-over").to.be.below(4000);
            });
        }
    });

    describe("says what is denied", () => {
        it("in the group's report, of which instance, and asks only once", async () => {
            fault = ({ action }) => (action === "CreateTags" ? ec2Error(403, "UnauthorizedOperation") : undefined);
            const [report] = await sweep();
            expect(report.outcome).to.equal("failed");
            expect(idsTried()).to.have.length(1);
            expect(report.reason).to.contain(`ec2:CreateTags on ${idsTried()[0]}: UnauthorizedOperation`);
        });

        it("in the report of one group, and gives the others their leaders", async () => {
            groups = { "awseb-denied": ["i-1"], "awseb-shop": ["i-2"], "awseb-wiki": ["i-3"] };
            fault = ({ action, ids }) =>
                action === "CreateTags" && ids.includes("i-1") ? ec2Error(403, "UnauthorizedOperation") : undefined;
            const reports = await sweep();
            expect(reports.map(({ group, outcome, leader }) => [group, outcome, leader])).to.deep.equal([
                ["awseb-denied", "failed", undefined],
                ["awseb-shop", "elected", "i-2"],
                ["awseb-wiki", "elected", "i-3"],
            ]);
            expect(reports[0].reason).to.contain("ec2:CreateTags on i-1: UnauthorizedOperation");
        });

        for (const [action, permission, failure] of [
            ["DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups", queryError(403, "AccessDenied")],
            ["DescribeInstances", "ec2:DescribeInstances", ec2Error(403, "UnauthorizedOperation")],
        ] as const) {
            it(`in the error that brings the batch back: ${permission}`, async () => {
                fault = (call) => (call.action === action ? failure : undefined);
                const error = await sweep().then(
                    () => undefined,
                    (reason: Error) => reason,
                );
                expect(error?.message).to.match(new RegExp(`^${permission} on \\*: (AccessDenied|Unauthorized)`));
                expect(idsTried()).to.deep.equal([]);
            });
        }
    });
});
