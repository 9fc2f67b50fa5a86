// What a deployed stack has keeps its type, name and parent, so that an update replaces nothing.
import { expect } from "chai";
import { only } from "../simulator/lists";
import { programWith } from "../simulator/scenario";
import { everything, idOf } from "../simulator/stack/program";

const rules = ["departures", "scaling", "sweep", "tags"];

/**
 * The resources of a stack of version 1.0.0 with every option on, by their types: their names, and inputs that AWS can't
 * change in place. A resource that was deployed without one of these must not get it. The stack is the parent of all.
 */
const deployed: Record<string, { names: string[]; fixed?: string[] }> = {
    "aws:cloudwatch/dashboard:Dashboard": { names: ["election"] },
    "aws:cloudwatch/eventRule:EventRule": { names: rules, fixed: ["name", "namePrefix", "eventBusName"] },
    "aws:cloudwatch/eventTarget:EventTarget": { names: rules, fixed: ["targetId", "eventBusName"] },
    "aws:cloudwatch/logGroup:LogGroup": { names: ["election"], fixed: ["namePrefix", "logGroupClass"] },
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        names: ["backlog", "flapping", "function-failing", "no-leader", "no-sweep", "two-leaders"],
        fixed: ["name"],
    },
    "aws:cloudwatch/queryDefinition:QueryDefinition": {
        names: ["changes-by-cause", "downtime", "leader-history", "vacant-groups"],
    },
    "aws:iam/role:Role": { names: ["election"], fixed: ["name", "namePrefix", "path"] },
    "aws:iam/rolePolicy:RolePolicy": { names: ["election"], fixed: ["name", "namePrefix"] },
    "aws:lambda/eventSourceMapping:EventSourceMapping": { names: ["events"] },
    "aws:lambda/function:Function": { names: ["election"], fixed: ["name", "packageType"] },
    "aws:sqs/queue:Queue": { names: ["events"], fixed: ["name", "namePrefix"] },
    "aws:sqs/queuePolicy:QueuePolicy": { names: ["events"] },
};

describe("An update of a deployed stack", () => {
    const updated = () => programWith(everything);

    for (const [type, { names, fixed = [] }] of Object.entries(deployed)) {
        it(`keeps each ${type}, and no input is new that would replace it`, async () => {
            const { resources } = await updated();
            for (const old of names.map((name) => `${type}::${name}`)) {
                const { parent, inputs } = only(resources.filter((one) => idOf(one) === old));
                expect(parent, old).to.equal("");
                const added = fixed.filter((input) => inputs[input] !== undefined);
                expect(added, old).to.deep.equal([]);
            }
        });
    }

    it("has every resource on this list, so that the next update keeps it, too", async () => {
        const listed = Object.entries(deployed).flatMap(([type, { names }]) => names.map((name) => `${type}::${name}`));
        expect((await updated()).resources.map(idOf)).to.have.members(listed);
    });
});
