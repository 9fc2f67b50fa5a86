// Messages about changes of leaders, if the setting changeTopicArn names a topic.
import { withContext } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { millisToSend } from "./aws/deadline";
import { warn } from "./log";
import { isChange, type Report, type Reported } from "./report";

/**
 * Sends a message for each change of a group's leader. Like an event it is a hint: it may be lost, or come twice.
 *
 * https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
 *
 * @returns how many could not be sent; each is logged
 */
export const announce = async (aws: Aws, elections: Reported[]): Promise<number> => {
    const { changeTopicArn: TopicArn } = aws.scope;
    if (!TopicArn) {
        return 0;
    }
    const reports = elections.map(({ report }) => report).filter(isChange);
    const abortSignal = aws.deadline.within(millisToSend);
    const failures = reports.map(async (report) => {
        const request = { TopicArn, Subject: subjectOf(report), Message: JSON.stringify(report) };
        try {
            await withContext("sns:Publish", [TopicArn], aws.sns().publish(request, { abortSignal }), abortSignal);
            return [];
        } catch (error) {
            warn(`no message about ${report.group}`, error);
            return [report];
        }
    });
    return (await Promise.all(failures)).flat().length;
};

/** What a phone shows: at most 99 printable ASCII characters, beginning with none but a letter, a digit or punctuation. */
const subjectOf = ({ group, leader }: Report): string => {
    const what = leader ? `: ${leader} leads` : " has no leader";
    const name = group.replace(/[^ -~]/g, "?").trim();
    return `${name.length + what.length > 99 ? `${name.slice(0, 96 - what.length)}...` : name}${what}`;
};
