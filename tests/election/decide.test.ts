// The decision table of one group, cell by cell: plain data in, plain data out.
import { expect } from "chai";
import {
    type Decision,
    decide,
    type Group,
    isLive,
    isReady,
    type Leader,
    latestSince,
    type Member,
    sinceOf,
} from "../../election/decide";

const now = Date.parse("2026-11-23T06:00:00.000Z");
const day = 24 * 60 * 60 * 1000;
const earlier = "2026-11-23T05:00:00.000Z";
const later = "2026-11-23T05:30:00.000Z";

const member = (id: string, lifecycleState = "InService", healthStatus = "Healthy"): Member => ({
    id,
    lifecycleState,
    healthStatus,
    group: "awseb-shop",
    protected: false,
});
const leader = (id: string, since?: string, state = "running"): Leader => ({ id, since, state });

interface Observed {
    members?: Member[];
    leaders?: Leader[];
    launched?: string[];
    warned?: string[];
    exists?: boolean;
}

const groupOf = ({ members = [], leaders = [], exists = true }: Observed): Group => ({
    name: "awseb-shop",
    exists,
    members,
    leaders,
    strays: [],
    triggers: [],
});

function decisionOn(observed: Observed): Decision {
    const { launched = [], warned = [] } = observed;
    return decide(groupOf(observed), { launched: new Set(launched), warned: new Set(warned) }, now);
}

/** What matters of a decision: who stays or may be chosen (those who go first in the first list), and who is demoted. */
function gist(decision: Decision): object {
    const { outcome, demote } = decision;
    if (decision.outcome === "kept") {
        return { outcome, leader: decision.leader.id, demote };
    }
    if (decision.outcome !== "choose") {
        return { outcome, demote };
    }
    const tiers = [...new Set(decision.nominees.map(({ tier }) => tier))].sort((a, b) => a - b);
    const choice = tiers.map((tier) =>
        decision.nominees.filter((nominee) => nominee.tier === tier).map(({ id }) => id),
    );
    return { outcome, choice, demote, otherwise: gist(decision.otherwise) };
}

const vacant = { outcome: "vacant", demote: [] };
const empty = { outcome: "empty", demote: [] };
const kept = (id: string, ...demote: string[]) => ({ outcome: "kept", leader: id, demote });
const choose = (choice: string[][], demote: string[], otherwise: object) => ({
    outcome: "choose",
    choice,
    demote,
    otherwise,
});

/** Why a live leader is not fit: what its group lists, what EC2 says of it, what events say. */
const unfit: Record<string, Observed> = {
    "that is unhealthy": { members: [member("i-1", "InService", "Unhealthy")], leaders: [leader("i-1", later)] },
    "in standby": { members: [member("i-1", "Standby")], leaders: [leader("i-1", later)] },
    "that its group terminates": { members: [member("i-1", "Terminating:Wait")], leaders: [leader("i-1", later)] },
    "that is arriving": { members: [member("i-1", "Pending")], leaders: [leader("i-1", later)] },
    "that its group does not list": { members: [], leaders: [leader("i-1", later)] },
    "that EC2 stops": { members: [member("i-1")], leaders: [leader("i-1", later, "stopping")] },
    "that EC2 has stopped": { members: [member("i-1")], leaders: [leader("i-1", later, "stopped")] },
    "that EC2 still starts": { members: [member("i-1")], leaders: [leader("i-1", later, "pending")] },
    "with a Spot warning": { members: [member("i-1")], leaders: [leader("i-1", later)], warned: ["i-1"] },
};

/** The same group with more in it. */
const and = (observed: Observed, more: Observed): Observed => ({
    ...observed,
    ...more,
    members: [...(observed.members ?? []), ...(more.members ?? [])],
    leaders: [...(observed.leaders ?? []), ...(more.leaders ?? [])],
});

describe("The decision", () => {
    describe("with a fit leader: it stays", () => {
        const cases: [rule: string, observed: Observed, expected: object][] = [
            ["alone", { members: [member("i-1")], leaders: [leader("i-1", later)] }, kept("i-1")],
            [
                "whoever else is fit, launched in this batch or not",
                { members: [member("i-1"), member("i-2")], leaders: [leader("i-1", later)], launched: ["i-2"] },
                kept("i-1"),
            ],
            ["without since", { members: [member("i-1")], leaders: [leader("i-1")] }, kept("i-1")],
            [
                "of several the one with the latest since, and the others are demoted",
                {
                    members: [member("i-1"), member("i-2"), member("i-3")],
                    leaders: [leader("i-1", earlier), leader("i-2", later), leader("i-3", earlier)],
                },
                kept("i-2", "i-1", "i-3"),
            ],
            [
                "of several with the same since the one with the lowest id",
                {
                    members: [member("i-1"), member("i-2"), member("i-3")],
                    leaders: [leader("i-3", later), leader("i-2", later), leader("i-1", earlier)],
                },
                kept("i-2", "i-3", "i-1"),
            ],
            [
                "of several without since the one with the lowest id",
                { members: [member("i-1"), member("i-2")], leaders: [leader("i-2"), leader("i-1")] },
                kept("i-1", "i-2"),
            ],
            [
                "of several the one with since before one that was tagged by hand",
                { members: [member("i-1"), member("i-2")], leaders: [leader("i-1"), leader("i-2", earlier)] },
                kept("i-2", "i-1"),
            ],
            [
                "while a dead one is left as it is",
                {
                    members: [member("i-1")],
                    leaders: [leader("i-1", earlier), leader("i-2", later, "terminated")],
                },
                kept("i-1"),
            ],
        ];
        for (const [rule, observed, expected] of cases) {
            it(rule, () => expect(gist(decisionOn(observed))).to.deep.equal(expected));
        }
        for (const [which, observed] of Object.entries(unfit)) {
            it(`and a leader ${which} is demoted, in spite of its later since`, () => {
                const observation = and({ members: [member("i-9")], leaders: [leader("i-9", earlier)] }, observed);
                expect(gist(decisionOn(observation))).to.deep.equal(kept("i-9", "i-1"));
            });
        }
    });

    describe("without a fit leader, but with fit members: a successor is chosen among them", () => {
        for (const [which, observed] of Object.entries(unfit)) {
            it(`and a leader ${which} is demoted first, or stays if EC2 calls nobody running`, () => {
                expect(gist(decisionOn(and(observed, { members: [member("i-8"), member("i-9")] })))).to.deep.equal(
                    choose([["i-8", "i-9"]], ["i-1"], kept("i-1")),
                );
            });
        }

        it("and of several leaders every one is demoted first, or one stays if EC2 calls nobody running", () => {
            const observed = {
                members: [member("i-1", "Standby"), member("i-2", "Standby"), member("i-9")],
                leaders: [leader("i-1", earlier), leader("i-2", later)],
            };
            expect(gist(decisionOn(observed))).to.deep.equal(choose([["i-9"]], ["i-2", "i-1"], kept("i-2", "i-1")));
        });

        for (const state of ["shutting-down", "terminated"]) {
            it(`after a leader that is ${state}, which is left as it is`, () => {
                const observed = {
                    members: [member("i-1"), member("i-2")],
                    leaders: [leader("i-1", later, state)],
                };
                expect(decisionOn(observed)).to.deep.include({ outcome: "choose", demote: [] });
                expect(gist(decisionOn({ ...observed, members: [member("i-2")] }))).to.deep.equal(
                    choose([["i-2"]], [], vacant),
                );
            });
        }

        it("those that events report as launched first", () => {
            const members = [member("i-1"), member("i-2"), member("i-3"), member("i-4", "Standby")];
            expect(gist(decisionOn({ members, launched: ["i-2", "i-3", "i-4", "i-5"] }))).to.deep.equal(
                choose([["i-2", "i-3"], ["i-1"]], [], vacant),
            );
        });

        it("but none that a Spot warning names", () => {
            const observed = { members: [member("i-1"), member("i-2")], launched: ["i-1"], warned: ["i-1"] };
            expect(gist(decisionOn(observed))).to.deep.equal(choose([["i-2"]], [], vacant));
        });

        it("before any that is arriving, which has its turn if EC2 calls none of them running", () => {
            const observed = { members: [member("i-1", "Pending"), member("i-2")], launched: ["i-1"] };
            expect(gist(decisionOn(observed))).to.deep.equal(choose([["i-2"], ["i-1"]], [], vacant));
        });

        it("that EC2 calls running", () => {
            const decision = decisionOn({ members: [member("i-1")] });
            expect(decision).to.have.nested.property("nominees[0].states").that.deep.equals(["running"]);
        });
    });

    describe("without a fit member, but with a live leader: it stays", () => {
        for (const [which, observed] of Object.entries(unfit)) {
            it(`even one ${which}`, () => expect(gist(decisionOn(observed))).to.deep.equal(kept("i-1")));

            it(`even one ${which}, while others arrive`, () => {
                const observation = and(observed, { members: [member("i-9", "Pending")] });
                expect(gist(decisionOn(observation))).to.deep.equal(kept("i-1"));
            });
        }

        it("of several the one with the latest since, and the others are demoted", () => {
            const observed = {
                members: [member("i-1", "Standby"), member("i-2", "Standby")],
                leaders: [
                    leader("i-1", earlier),
                    leader("i-2", later),
                    leader("i-3"),
                    leader("i-4", later, "terminated"),
                ],
            };
            expect(gist(decisionOn(observed))).to.deep.equal(kept("i-2", "i-1", "i-3"));
        });

        it("even if the only other fit member has a Spot warning", () => {
            const observed = {
                members: [member("i-1", "Standby"), member("i-2")],
                leaders: [leader("i-1", later)],
                warned: ["i-2"],
            };
            expect(gist(decisionOn(observed))).to.deep.equal(kept("i-1"));
        });
    });

    describe("without a fit member and without a leader", () => {
        for (const state of ["Pending", "Pending:Wait", "Pending:Proceed"]) {
            it(`one that is ${state} is promoted, running or not yet`, () => {
                const decision = decisionOn({ members: [member("i-1", state), member("i-2", "Terminating")] });
                expect(gist(decision)).to.deep.equal(choose([["i-1"]], [], vacant));
                expect(decision).to.have.nested.property("nominees[0].states").that.has.members(["pending", "running"]);
            });
        }

        it("one that is arriving is promoted after a dead leader", () => {
            const observed = { members: [member("i-1", "Pending")], leaders: [leader("i-2", later, "shutting-down")] };
            expect(gist(decisionOn(observed))).to.deep.equal(choose([["i-1"]], [], vacant));
        });

        it("nobody is promoted who arrives unhealthy", () => {
            expect(gist(decisionOn({ members: [member("i-1", "Pending", "Unhealthy")] }))).to.deep.equal(vacant);
        });

        it("nothing is written if nobody may lead", () => {
            const members = [member("i-1", "Terminating"), member("i-2", "InService", "Unhealthy")];
            expect(gist(decisionOn({ members }))).to.deep.equal(vacant);
        });

        it("nothing is written if there are no members", () => {
            expect(gist(decisionOn({}))).to.deep.equal(empty);
            expect(gist(decisionOn({ leaders: [leader("i-1", later, "terminated")] }))).to.deep.equal(empty);
        });

        it("nothing is written if there is no such group", () => {
            expect(gist(decisionOn({ exists: false }))).to.deep.equal(empty);
        });
    });

    it("gives a reason, whatever it is", () => {
        for (const observed of [...Object.values(unfit), {}, { exists: false }, { members: [member("i-1")] }]) {
            expect(decisionOn(observed).reason).to.be.a("string").that.is.not.empty;
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

    it("is offered by its group if it is InService and Healthy, and not otherwise", () => {
        const ready = states.flatMap((state) =>
            ["Healthy", "Unhealthy"].map((health) => member("i-1", state, health)).filter(isReady),
        );
        expect(ready).to.deep.equal([member("i-1", "InService", "Healthy")]);
    });

    it("may be chosen in four of its states only", () => {
        const chosen = states.filter((state) => decisionOn({ members: [member("i-1", state)] }).outcome === "choose");
        expect(chosen).to.have.members(["InService", "Pending", "Pending:Wait", "Pending:Proceed"]);
    });
});

describe("A leader", () => {
    it("is live unless EC2 has ended it", () => {
        const states = ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"];
        expect(states.filter((state) => isLive(leader("i-1", later, state)))).to.deep.equal([
            "pending",
            "running",
            "stopping",
            "stopped",
        ]);
    });
});

describe("since", () => {
    const cases: [what: string, since: string | undefined, expected: number][] = [
        ["in milliseconds counts as what it says", "2026-11-23T05:59:59.999Z", now - 1],
        ["in seconds counts as what it says", "2026-11-23T05:59:59Z", now - 1000],
        ["less than a day ahead counts as what it says", new Date(now + day).toISOString(), now + day],
        ["more than a day ahead counts as the oldest", new Date(now + day + 1).toISOString(), 0],
        ["that is missing counts as the oldest", undefined, 0],
        ["that is empty counts as the oldest", "", 0],
        ["that is no time counts as the oldest", "yesterday", 0],
        ["with an impossible date counts as the oldest", "2026-13-41T25:61:61.000Z", 0],
        ["of a day alone counts as the oldest", "2026-11-23", 0],
        ["without a zone counts as the oldest", "2026-11-23T05:59:59.999", 0],
        ["in another zone counts as the oldest", "2026-11-23T05:59:59.999+01:00", 0],
        ["in words that JavaScript reads counts as the oldest", "Mon, 23 Nov 2026 05:59:59 GMT", 0],
        ["with something around it counts as the oldest", " 2026-11-23T05:59:59.999Z\n", 0],
        ["that is a number counts as the oldest", "1795413600000", 0],
    ];
    for (const [what, since, expected] of cases) {
        it(what, () => expect(sinceOf({ since }, now)).to.equal(expected));
    }

    it("that counts as the oldest loses against any other, and ties go to the lowest id", () => {
        const oldest = cases.filter(([, , expected]) => expected === 0).map(([, since]) => since);
        for (const since of oldest) {
            const members = [member("i-1"), member("i-2"), member("i-3")];
            const leaders = [leader("i-1", since), leader("i-2", earlier), leader("i-3")];
            expect(gist(decisionOn({ members, leaders }))).to.deep.equal(kept("i-2", "i-1", "i-3"));
            expect(gist(decisionOn({ members, leaders: [leaders[2], leaders[0]] }))).to.deep.equal(kept("i-1", "i-3"));
        }
    });

    it("is latest among all who carry it, the dead too", () => {
        const leaders = [
            leader("i-1", earlier),
            leader("i-2", later, "terminated"),
            leader("i-3", "yesterday"),
            leader("i-4", new Date(now + 2 * day).toISOString()),
            leader("i-5"),
        ];
        expect(latestSince(groupOf({ leaders }), now)).to.equal(Date.parse(later));
        expect(latestSince(groupOf({ leaders: [leader("i-5")] }), now)).to.equal(0);
        expect(latestSince(groupOf({}), now)).to.equal(0);
    });
});
