// The packaged function against an AWS that is slow: an answer that stalls, trickles or never comes ends in time, with a report
// that names the call; an API that is slow for a while stops no election.
import { expect } from "chai";
import { invoke, pointSdkAt } from "../simulator/aws/endpoint";
import { type BusEvent, sweepEvent } from "../simulator/aws/events";
import { AwsServer, type HttpFault } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { Timeline } from "../simulator/clock";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import { type Program, runProgram } from "../simulator/stack/program";

const shop = "awseb-shop";
const wiki = "awseb-wiki";
const tagKey = "app:isLeader";

describe("The packaged function, when AWS is slow", () => {
    let program: Program;
    let aws: AwsServer;
    let restoreEnvironment = () => {};
    let handler: Handler;
    let region: Region;

    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
        aws = await AwsServer.open(new Region(new Timeline()));
        restoreEnvironment = pointSdkAt(aws.url);
    });
    after(() => {
        restoreEnvironment();
        aws.close();
    });

    beforeEach(() => {
        region = new Region(new Timeline());
        for (const id of ["i-1", "i-2"]) {
            region.addInstance(shop, { id });
        }
        region.addInstance(wiki, { id: "i-3" });
        aws.show(region);
        aws.fault = () => undefined;
        handler = startContainer(program);
    });

    const leadersOf = (group: string): string[] => region.leaders(group, tagKey);

    /** Hands a batch to the function, which has some seconds: the reasons of all that failed, as it logs them. */
    async function failuresOf(seconds: number, ...events: BusEvent[]): Promise<string> {
        const deadline = performance.now() + seconds * 1000;
        const reasons: string[] = [];
        const bodies = events.map((event) => JSON.stringify(event));
        await invoke(handler, bodies, seconds, ({ reason }) => reasons.push(reason));
        expect(performance.now(), "the end").to.be.below(deadline);
        return reasons.join("\n");
    }

    const slow: [string, HttpFault][] = [
        ["never comes", "hangs"],
        ["stalls half-way", { stallsAfter: 100 }],
        ["trickles", { bytesPerSecond: 50 }],
    ];
    for (const [how, fault] of slow) {
        for (const [action, permission] of [
            ["DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"],
            ["DescribeInstances", "ec2:DescribeInstances"],
            ["DescribeInstanceStatus", "ec2:DescribeInstanceStatus"],
        ]) {
            it(`ends in time and names ${permission}, when its answer ${how}`, async () => {
                aws.fault = (call) => (call.action === action ? fault : undefined);
                expect(await failuresOf(1.5, sweepEvent(Date.now()))).to.contain(permission);
                expect([shop, wiki].flatMap(leadersOf)).to.deep.equal([]);
            });
        }
    }

    it("elects, though every read takes three seconds", async () => {
        aws.fault = ({ action }) => (/^(Describe|Get)/.test(action) ? { after: 3000 } : undefined);
        await failuresOf(10, sweepEvent(Date.now()));
        expect([shop, wiki].map((group) => leadersOf(group).length)).to.deep.equal([1, 1]);
        expect(aws.callsOf("DescribeAutoScalingGroups"), "one attempt that is too short").to.have.length(2);
    });
});
