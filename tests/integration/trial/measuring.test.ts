// What the trial reads off what it sees, how it reports it, and what it says that it costs.
import { expect } from "chai";
import { costOf, minutesFor } from "../../../election/trial/before";
import { commandsFor } from "../../../election/trial/clean-up";
import { secondsUntilShown } from "../../../election/trial/console";
import { isOver, measured, type Result } from "../../../election/trial/measure";
import { help, optionsOf } from "../../../election/trial/options";
import { plays, promisedSeconds } from "../../../election/trial/plays";
import { exitStatusOf, summaryOf, textOf } from "../../../election/trial/report";
import { type Instance, type Look, liveLeaders, millisOfTwo, resolutionOf } from "../../../election/trial/watch";

const instance = (id: string, more: Partial<Instance> = {}): Instance => ({
    id,
    image: "ami-1",
    state: "running",
    leads: false,
    since: "",
    vetoed: false,
    ...more,
});
const leader = (id: string, second: number, state = "running") =>
    instance(id, { leads: true, since: `2026-11-23T06:00:0${second}.000Z`, state });
const seen = (at: number, ...instances: Instance[]): Look => ({ at, instances });
const play = (name: string) => plays.find((one) => one.name === name) as (typeof plays)[number];

describe("The trial", () => {
    const former = leader("i-1", 1);
    const other = leader("i-2", 2);
    const copy = leader("i-2", 1);

    it("counts two leaders from the look before they were seen to the last look, but not one that EC2 is ending", () => {
        const looks = [seen(100, former), seen(300, former, other), seen(600, former, other), seen(700, other)];
        expect(millisOfTwo(0, looks)).to.equal(500);
        expect(resolutionOf(0, looks)).to.equal(300);
        for (const state of ["shutting-down", "terminated"]) {
            expect(liveLeaders(seen(0, leader("i-1", 1, state), other))).to.deep.equal([other]);
        }
        expect(millisOfTwo(50, [seen(100, former, other)])).to.equal(50);
    });

    it("takes for the successor another instance, one with a later since, or the same one alone, and says why a play was not as promised", () => {
        const cases: [name: string, looks: Look[], broken?: string][] = [
            ["vetoed", [seen(500, instance("i-1")), seen(1000, other)]],
            ["vetoed", [seen(11_000, other)], "later than 10 s"],
            ["vetoed", [seen(500, former, other), seen(900, other)], "two leaders at once"],
            ["detached", [seen(500, former, other), seen(900, other)]],
            ["detached", [seen(500, former, other)], "still two leaders"],
            ["vetoed", [seen(500, leader("i-2", 0))], "since did not grow"],
            ["vetoed", [seen(500), seen(4000, former)], "no successor within 4 s"],
            ["untagged", [seen(500, leader("i-1", 2))]],
            ["untagged", [seen(500, instance("i-1")), seen(4000, former)], "no successor within 4 s"],
            ["copied", [seen(4000, other)], "no successor within 4 s"],
            ["copied", [seen(500, former, copy), seen(900, former)]],
            ["copied", [seen(500, former, copy)], "still two leaders after 1 s"],
        ];
        for (const [name, looks, broken] of cases) {
            const result = measured({ play: play(name), leader: former, start: 0, looks }, 10);
            expect(result.broken, JSON.stringify(looks)).to.equal(broken);
        }
    });

    it("takes a copy for removed only after it was seen, because a read may lag", () => {
        const isRemoved = (...looks: Look[]) => isOver({ play: play("copied"), leader: former, start: 0, looks });
        expect(isRemoved(seen(100, former))).to.equal(false);
        expect(isRemoved(seen(100, former, copy), seen(200, former))).to.equal(true);
        expect(isRemoved(seen(100, former), seen(5100, former))).to.equal(true);
    });

    it("promises some seconds for an event, the sweep's period on top where no event comes, and handoverSeconds", () => {
        expect(promisedSeconds(play("stopped"), { sweepMinutes: 5, handoverSeconds: 20 })).to.equal(30);
        expect(promisedSeconds(play("standby"), { sweepMinutes: 5, handoverSeconds: 20 })).to.equal(330);
    });

    it("reads in the console how long after since the instance's own metadata showed the tag, to the second", () => {
        const console = [
            "[    5.1] cloud-init: leader-trial is up",
            "leader-trial 2026-11-23T06:00:00Z shown",
            "leader-trial 2026-11-23T06:01:00Z absent",
            "leader-trial 2026-11-23T06:02:03Z shown",
        ].join("\r\n");
        expect(secondsUntilShown(console, "2026-11-23T06:00:00.900Z")).to.equal(0);
        expect(secondsUntilShown(console, "2026-11-23T06:02:01.900Z")).to.equal(2);
        expect(secondsUntilShown(console, "2026-11-23T06:02:04.000Z")).to.equal(undefined);
        expect(secondsUntilShown("", "2026-11-23T06:02:04.000Z")).to.equal(undefined);
    });

    const fine: Result = { play: "stopped", by: "event", promised: 10, seconds: 1, twoLeaders: 0, since: "grew" };
    const untried: Result = { play: "vetoed", by: "event", promised: 10, untried: "a policy" };
    const broken: Result = {
        ...fine,
        play: "standby",
        by: "sweep",
        promised: 70,
        seconds: 4,
        broken: "two leaders at once",
    };

    it("exits with 0 if all was as promised, with 1 if something was not, with 2 if it could not be tried", () => {
        expect([[fine], [fine, untried], [fine, untried, broken]].map(exitStatusOf)).to.deep.equal([0, 2, 1]);
    });

    it("sums up in median and worst, by how the loss was found", () => {
        const results = [fine, { ...fine, seconds: 2, metadata: 3 }, { ...fine, seconds: 6 }, broken, untried];
        expect(summaryOf(results)).to.deep.equal({
            event: { count: 3, median: 2, worst: 6 },
            sweep: { count: 1, median: 4, worst: 4 },
            metadata: { count: 1, median: 3, worst: 3 },
        });
        expect(summaryOf([fine, { ...fine, seconds: 2 }]).event).to.deep.equal({ count: 2, median: 1.5, worst: 2 });
        expect(summaryOf([untried])).to.deep.equal({ event: undefined, sweep: undefined, metadata: undefined });
    });

    it("prints a table that holds everything", () => {
        const text = textOf({
            time: "2026-11-23T06:00:00.000Z",
            stack: "dev",
            group: "awseb-trial-1",
            region: "us-east-1",
            type: "t4g.nano",
            image: "ami-1",
            sweepMinutes: 1,
            handoverSeconds: 0,
            versions: { "Node.js": "20" },
            plays: [{ ...fine, metadata: 1, resolution: 0.3 }, untried, broken],
            summary: summaryOf([fine, broken]),
        });
        expect(text.split("\n")).to.include.members([
            "leader is  expected     measured  two leaders  since  in metadata  as promised",
            "stopped    event: 10 s  1.00 s    0.00 s       grew   1 s          yes",
            "vetoed     event: 10 s                                             not tried: a policy",
            "standby    sweep: 70 s  4.00 s    0.00 s       grew                no: two leaders at once",
        ]);
        expect(text).to.contain("0.30 s apart at most").and.to.contain("Node.js 20").and.to.contain("(ami-1)");
    });

    it("says what it costs at most: cents for a type whose price it knows, hours for another", () => {
        // Five instances for 50 minutes: 4.17 hours, each with 8 GB of disk.
        expect(minutesFor(1)).to.equal(50);
        expect(costOf("t4g.nano", 50)).to.contain("at most 3 cents");
        expect(costOf("m7g.large", 50)).to.contain("4.2 instance hours of m7g.large, and 1 cent for disks");
    });

    it("prints commands in the order that works, with names quoted", () => {
        const left = { run: "trial-1", until: "", groups: ["it's"], instances: [{ id: "i-1", inGroup: true }] };
        expect(commandsFor({ ...left, templates: ["leader-trial-1"], volumes: ["vol-1"] }, "eu-west-1")).to.deep.equal([
            "aws --region eu-west-1 autoscaling delete-auto-scaling-group --force-delete --auto-scaling-group-name 'it'\\''s'",
            "aws --region eu-west-1 ec2 terminate-instances --instance-ids i-1",
            "aws --region eu-west-1 ec2 delete-launch-template --launch-template-name leader-trial-1",
            "aws --region eu-west-1 ec2 delete-volume --volume-id vol-1",
        ]);
    });

    for (const [line, message] of [
        ["", "Option '--stack' is missing. See --help."],
        ["--foo", "Unknown option '--foo'. See --help."],
        ["--stack a --stack b", "Option '--stack' is given twice. See --help."],
        ["--stack a --type", "Option '--type <value>' argument missing. See --help."],
        ["--stack a --type nano", `Option '--type' is "nano", but it must be an instance type like t4g.nano.`],
        ["--stack a --region x", `Option '--region' is "x", but it must be a region like us-east-1.`],
        ["--stack a --subnet x", `Option '--subnet' is "x", but it must be the id of a subnet.`],
        ["--stack a --only x", `Option '--only' is "x", but it must be one of terminated, stopped, standby,`],
    ] as const) {
        it(`refuses ${line || "no option"} by name`, () => {
            expect(() => optionsOf(line.split(" ").filter(Boolean))).to.throw(message);
        });
    }

    it("takes --subnet and --only several times, and has every option in its help", () => {
        const options = optionsOf("--stack a --subnet subnet-01234567 --subnet subnet-89abcdef".split(" "));
        const subnets = ["subnet-01234567", "subnet-89abcdef"];
        expect(options).to.deep.include({ subnets, type: "t4g.nano", yes: false });
        for (const option of ["stack", "region", "type", "subnet", "only", "keep", "yes", "json", "help"]) {
            expect(help).to.contain(`--${option}`);
        }
    });
});
