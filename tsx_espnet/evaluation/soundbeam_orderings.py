"""The orderings that the SoundBeam paper reports, each as a paired difference of ours."""

from tsx_espnet.evaluation.layout import MIN_FOR_INTERVAL, NONE, NOT_RUN, signed, spread
from tsx_espnet.evaluation.soundbeam_classes import class_interval
from tsx_espnet.evaluation.soundbeam_gains import SDRI, Gains, Metric
from tsx_espnet.evaluation.soundbeam_paper import ADAPTED, CLAIMS, METHODS, NEW, claims
from tsx_espnet.evaluation.soundbeam_study import Study
from tsx_espnet.evaluation.soundbeam_tables import NOT_SCORED, Table


def orderings_table(study: Study, metric: Metric) -> Table:
    """The differences that the paper has above 0, and those of other models that were adapted."""
    table = [["difference", "mixtures", "paper (dB)", "ours (dB)", "over mixtures (dB)"]]
    table[0] += ["over classes (dB)", "runs above 0", "verdict"]
    adapted = [method for method in METHODS if method in (ADAPTED, *study.adapted())]
    for claim in (*CLAIMS, *(claim for method in adapted for claim in claims(method))):
        gains = study.difference(claim.minuend, claim.subtrahend, metric)
        if gains is None and claim.printed is None:
            continue
        row = [claim.name, NONE, signed(claim.printed, 1), *[NONE] * 5]
        if gains is not None:
            row[1], row[3] = str(gains.mean.count), signed(gains.mean.value)
            row[4], row[7] = spread(gains.mean)[1], verdict(gains)
            row[6] = f"{sum(mean > 0 for mean in gains.run_means)} of {len(gains.run_means)}"
            if claim.minuend.place.test == NEW:
                row[5] = class_interval(gains)
        else:
            ran = study.ran(claim.minuend) and study.ran(claim.subtrahend)
            row[3] = NOT_SCORED if ran else NOT_RUN
        table.append(row)
    if metric is not SDRI:  # the paper's metric
        table = [row[:2] + row[3:] for row in table]
    return table


def verdict(gains: Gains) -> str:
    """Whether a difference that should be above 0 is, by its interval over the mixtures."""
    low, high = (round(bound, 2) for bound in gains.mean.interval)  # as printed
    if gains.mean.count < MIN_FOR_INTERVAL or low <= 0 <= high:
        return "open"
    return "holds" if low > 0 else "fails"
