// The decision table: each row through the packaged function, in a region.
import { expect } from "chai";
import { sinceOf } from "../../election/group";
import { spotEvent } from "../simulator/aws/events";
import { writesIn } from "../simulator/changes";
import { atFive, atFour, atHalfPastFive, hour, isoTime, start } from "../simulator/clock";
import { only } from "../simulator/lists";
import { formerly, leading, type Options, standby, unhealthy, vetoed } from "../simulator/members";
import { a, b, c, d, eligibleKey, pausedKey, shop, tagKey } from "../simulator/names";
import { eventOf, inOwnRegion, leadersOf, receiveTogether } from "../simulator/scenario";

/** An instance with the group's tag; the group lists it as fit unless something else is said. */
type Instance = Options & { listed?: false; warned?: true };

interface Result {
    outcome: "kept" | "elected" | "vacant" | "empty" | "paused";
    /** The leader, or those of which one leads. */
    leader?: string | string[];
    demoted?: string[];
}

/** How the group differs from one that wants as many instances as it lists, and is not paused. */
interface Wants {
    desired?: number;
    paused?: true;
}

type Row = [rule: string, instances: Record<string, Instance>, result: Result, wants?: Wants];

const kept = (leader: string, ...demoted: string[]): Result => ({ outcome: "kept", leader, demoted });
const elected = (leader: string | string[], ...demoted: string[]): Result => ({ outcome: "elected", leader, demoted });
const vacant = (...demoted: string[]): Result => ({ outcome: "vacant", demoted });
const empty = (...demoted: string[]): Result => ({ outcome: "empty", demoted });
const paused: Result = { outcome: "paused", demoted: [] };

const pending: Options = { lifecycleState: "Pending" };
const stopped: Instance = { state: "stopped" };
const ended: Instance = { state: "terminated" };
const gone: Instance = { state: "terminated", listed: false };

/** A leader since five, of which something else is to be said. */
const led = (instance: Instance): Instance => leading(atFive, instance);

/** A leader since half an hour later. */
const later = (instance: Instance): Instance => leading(atHalfPastFive, instance);

/** Why a live instance is not fit, although it may stay if no other can lead. */
const unfit: Record<string, Instance> = {
    "is unhealthy": unhealthy,
    "goes to Standby": { lifecycleState: "EnteringStandby" },
    "is in Standby": standby,
    "is terminated by its group": { lifecycleState: "Terminating" },
    "waits for a hook before its termination": { lifecycleState: "Terminating:Wait" },
    "is being detached": { lifecycleState: "Detaching" },
    "is arriving": pending,
    "is stopping": { state: "stopping" },
    "is stopped": stopped,
    "is starting": { state: "pending" },
    "has a Spot warning": { warned: true },
};

/** Why a leader may not stay, even if no other instance can lead. */
const barred: Record<string, Instance> = {
    "is not listed by its group": { listed: false },
    "is vetoed": vetoed,
    "is vetoed in capitals": { tags: { [eligibleKey]: "FALSE" } },
    "is shutting down": { state: "shutting-down" },
    "is shutting down, and no longer listed": { state: "shutting-down", listed: false },
};

/** A row for each of several kinds of instances. */
const rowsFor = (kinds: Record<string, Instance>, row: (why: string, instance: Instance) => Row): Row[] =>
    Object.entries(kinds).map(([why, instance]) => row(why, instance));

const withFitLeader: Row[] = [
    ["keeps it", { [a]: {}, [b]: leading(atFive), [c]: {} }, kept(b)],
    ["keeps one that was tagged by hand", { [a]: {}, [b]: leading() }, kept(b)],
    ["keeps one that was tagged in capitals", { [a]: {}, [b]: leading(undefined, {}, "TRUE") }, kept(b)],
    ["keeps one whose tag for vetoes says no", { [a]: {}, [b]: led({ tags: { [eligibleKey]: "no" } }) }, kept(b)],
    ["keeps the latest by since", { [a]: leading(atFour), [b]: leading(atFive), [c]: leading() }, kept(b, a, c)],
    [
        "keeps the one with the lowest id, if since is the same",
        { [c]: leading(atFive), [b]: leading(atFive), [a]: leading(atFour) },
        kept(b, a, c),
    ],
    ["keeps the one with the lowest id, if none has since", { [b]: leading(), [a]: leading() }, kept(a, b)],
    [
        "takes a since of the day after tomorrow for the oldest",
        { [a]: leading(isoTime(start + 48 * hour)), [b]: leading(atFour) },
        kept(b, a),
    ],
    ["takes a malformed since for the oldest", { [a]: leading("yesterday"), [b]: leading(atFour) }, kept(b, a)],
    ["keeps it beside one that ended and has a later since", { [a]: later(gone), [b]: leading(atFive) }, kept(b)],
    [
        "keeps it beside a former leader with a later since",
        { [a]: formerly(atHalfPastFive), [b]: leading(atFive) },
        kept(b),
    ],
    ...rowsFor({ ...unfit, ...barred }, (why, instance) => [
        `demotes another that ${why}, in spite of its later since`,
        { [a]: later(instance), [d]: leading(atFive) },
        kept(d, a),
    ]),
];

const withFitMembers: Row[] = [
    ["elects one if there is no leader", { [a]: {}, [b]: {} }, elected([a, b])],
    ["may elect a former leader", { [a]: formerly(atFive), [b]: standby }, elected(a)],
    ["may elect one whose veto was lifted", { [a]: { tags: { [eligibleKey]: "true" } } }, elected(a)],
    ...rowsFor({ ...unfit, ...barred }, (why, instance) => [
        `replaces a leader that ${why}`,
        { [a]: led(instance), [b]: {}, [c]: {} },
        elected([b, c], a),
    ]),
    ["replaces a leader that is terminated", { [a]: led(gone), [b]: {} }, elected(b)],
    [
        "never elects a leader again that is terminated, though its group still lists it",
        { [a]: led(ended), [b]: {}, [c]: {} },
        elected([b, c]),
    ],
    [
        "replaces all of several leaders",
        { [a]: led(standby), [b]: leading(undefined, standby), [c]: {} },
        elected(c, a, b),
    ],
    ...rowsFor({ ...unfit, ...barred, "is terminated": ended }, (why, instance) => [
        `elects none that ${why}`,
        { [a]: instance, [b]: {} },
        elected(b),
    ]).filter(([, instances]) => instances[a]?.listed !== false),
];

const withLeaderOnly: Row[] = [
    ...rowsFor(unfit, (why, instance) => [
        `keeps one that ${why}, beside others that are not fit`,
        { [a]: led(instance), [b]: standby, [c]: stopped, [d]: vetoed },
        kept(a),
    ]),
    ...rowsFor(unfit, (why, instance) => [
        `keeps one that ${why}, while others arrive`,
        { [a]: led(instance), [b]: pending },
        kept(a),
    ]),
    ...rowsFor(barred, (why, instance) => [
        `demotes another that ${why}, in spite of its later since`,
        { [a]: later(instance), [b]: led(standby) },
        kept(b, a),
    ]),
    [
        "keeps the one with the latest since, and demotes the others",
        { [a]: leading(atFour, standby), [b]: led(standby), [c]: leading(undefined, standby), [d]: later(ended) },
        kept(b, a, c),
    ],
];

const withArriving: Row[] = [
    ...["Pending", "Pending:Wait", "Pending:Proceed"].flatMap((lifecycleState) =>
        ["pending", "running"].map(
            (state): Row => [
                `elects one that is ${lifecycleState} and ${state}`,
                { [a]: { lifecycleState, state }, [b]: standby },
                elected(a),
            ],
        ),
    ),
    [
        "elects one that is arriving, if EC2 has stopped all that the group calls fit",
        { [a]: pending, [b]: stopped },
        elected(a),
    ],
    ["elects one that is arriving, after a leader that is terminated", { [a]: pending, [b]: led(ended) }, elected(a)],
    ...rowsFor(barred, (why, instance) => [
        `replaces a leader that ${why}`,
        { [a]: led(instance), [b]: pending, [c]: standby },
        elected(b, a),
    ]),
    ["elects none that is arriving and vetoed", { [a]: { ...pending, ...vetoed }, [b]: pending }, elected(b)],
];

const leaving: Record<string, Instance> = {
    [a]: { lifecycleState: "Terminating:Wait" },
    [b]: { state: "shutting-down" },
};

const withNone: Row[] = [
    ["finds a group empty that wants no instances and has none", {}, empty()],
    ["finds a group vacant that wants instances and has none", {}, vacant(), { desired: 2 }],
    ["finds a group empty whose last leader has ended", { [a]: led(gone) }, empty()],
    ["finds a group empty that wants none, while its last members leave", leaving, empty(), { desired: 0 }],
    ["finds a group vacant whose members all leave", leaving, vacant()],
    ["finds a group vacant whose members arrive unhealthy", { [a]: { ...pending, ...unhealthy } }, vacant()],
    ["finds a group vacant whose members ended while arriving", { [a]: { ...pending, ...ended } }, vacant()],
    ["finds a group vacant with a member to start anew", { [a]: { lifecycleState: "Warmed:Running" } }, vacant()],
    ["finds a group vacant whose only member is vetoed", { [a]: vetoed }, vacant()],
    ...rowsFor(barred, (why, instance) => [
        `demotes a leader that ${why}`,
        { [a]: led(instance), [b]: standby },
        vacant(a),
        { desired: 1 },
    ]),
    [
        "demotes a leader that is shutting down, if the group wants none",
        { [a]: led({ state: "shutting-down" }) },
        empty(a),
        { desired: 0 },
    ],
];

const rows: Record<string, Row[]> = {
    "with a fit leader": withFitLeader,
    "without a fit leader, but with fit members": withFitMembers,
    "without a fit member, but with a leader that is not barred": withLeaderOnly,
    "without a fit member or such a leader, but with arriving members": withArriving,
    "without any of these": withNone,
};

describe("The decision table", () => {
    for (const [when, cases] of Object.entries(rows)) {
        describe(`for a group ${when}`, () => {
            for (const row of cases) {
                it(row[0], () => expectInRegion(row));
            }
        });
    }

    describe("for a group that is paused", () => {
        for (const [when, cases] of Object.entries(rows)) {
            it(`${when}: nothing is written`, async () => {
                for (const [rule, instances, , wants] of cases) {
                    await expectInRegion([rule, instances, paused, { ...wants, paused: true }]);
                }
            });
        }
    });
});

describe("A member", () => {
    // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Instance.html
    const states = [
        "Pending Pending:Wait Pending:Proceed Quarantined InService Terminating Terminating:Wait Terminating:Proceed",
        "Terminating:Retained Terminated Detaching Detached EnteringStandby Standby ReplacingRootVolume",
        "ReplacingRootVolume:Wait ReplacingRootVolume:Proceed RootVolumeReplaced Warmed:Pending Warmed:Pending:Wait",
        "Warmed:Pending:Proceed Warmed:Pending:Retained Warmed:Terminating Warmed:Terminating:Wait",
        "Warmed:Terminating:Proceed Warmed:Terminating:Retained Warmed:Terminated Warmed:Stopped Warmed:Running",
        "Warmed:Hibernated",
    ].flatMap((line) => line.split(" "));

    for (const lifecycleState of states) {
        const isFit = lifecycleState === "InService";
        const isArriving = /^Pending(:Wait|:Proceed)?$/.test(lifecycleState);
        it(`that is ${lifecycleState} ${isFit ? "is fit" : isArriving ? "leads if no other can" : "is not chosen"}`, async () => {
            await expectInRegion(["alone", { [a]: { lifecycleState } }, isFit || isArriving ? elected(a) : vacant()]);
            await expectInRegion([
                "leading",
                { [a]: led({ lifecycleState }), [b]: {} },
                isFit ? kept(a) : elected(b, a),
            ]);
        });
    }
});

describe("since", () => {
    const counting: Record<string, [since: string, expected: number]> = {
        "in milliseconds": [isoTime(start - 1), start - 1],
        "in seconds": ["2026-11-23T05:59:59Z", start - 1000],
        "less than a day ahead": [isoTime(start + 24 * hour), start + 24 * hour],
    };
    for (const [what, [since, expected]] of Object.entries(counting)) {
        it(`${what} counts as what it says`, () => expect(sinceOf({ since }, start)).to.equal(expected));
    }

    const words = ["", "yesterday", "Mon, 23 Nov 2026 05:59:59 GMT", "1795413600000", "2026-13-41T25:61:61.000Z"];
    const forms = [
        "2026-11-23",
        "2026-11-23T05:59:59.999",
        "2026-11-23T05:59:59.999+01:00",
        " 2026-11-23T05:59:59.999Z\n",
    ];
    for (const since of [undefined, isoTime(start + 24 * hour + 1), ...words, ...forms]) {
        it(`${JSON.stringify(since)} counts as the oldest`, () => expect(sinceOf({ since }, start)).to.equal(0));
    }
});

/** A batch that names the group, with the Spot warnings, leaves the region as the row says. */
async function expectInRegion([rule, instances, result, wants = {}]: Row): Promise<void> {
    await inOwnRegion(async (world) => {
        const { region, timeline } = world;
        region.addGroup(shop, wants.paused ? { [pausedKey]: "true" } : {}).desired = wants.desired;
        for (const [id, { listed, warned, ...options }] of Object.entries(instances)) {
            region.addInstance(shop, { id, ...options });
            if (listed === false) {
                region.unlist(id);
            }
        }
        const before = Object.keys(instances).map((id) => [id, region.tags(id)] as const);
        const warnings = Object.keys(instances).filter((id) => instances[id]?.warned);
        const events = [
            ...warnings.map((id) => spotEvent(timeline.now, id)),
            eventOf(world, "terminate-unsuccessful", a),
        ];
        const report = only(await receiveTogether(world, events));

        const { outcome, leader, demoted = [] } = result;
        expect(report.outcome, rule).to.equal(outcome);
        expect([...report.demoted].sort()).to.deep.equal(demoted);
        if (outcome !== "paused") {
            const leaders = leadersOf(world);
            expect(leaders).to.deep.equal(leader ? [report.leader] : []);
            expect([leader ?? []].flat()).to.include.members(leaders);
        }
        const promoted = outcome === "elected" ? report.leader : undefined;
        for (const [id, tags] of before.filter(([id]) => id !== promoted)) {
            const { [tagKey]: _, ...others } = tags;
            const expected = demoted.includes(id) ? others : tags;
            expect(region.tags(id), `tags of ${id}, which keeps its since`).to.deep.equal(expected);
        }
        if (outcome !== "elected") {
            expect(writesIn(region.calls).map(({ action }) => action)).to.deep.equal(
                demoted.length > 0 ? ["ec2:DeleteTags"] : [],
            );
        }
    });
}
