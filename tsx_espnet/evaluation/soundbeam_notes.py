"""What the reader of ``bin.soundbeam_tables``' page is told about its numbers."""

from tsx_espnet.evaluation.table import RESAMPLES

PAPERS_DATA = (
    "The paper's: sounds of FSDKaggle2018 (seen classes) and of 10 classes of FSD50K (new), test "
    "sets of 10,000 and 3,000 mixtures, up to 200 epochs of 50,000 mixtures."
)
BSS_EVAL_MISSING = (
    "The scores hold no BSS-eval SDR (stage 7 was told to leave it out), so that the paper's "
    "metric is missing; what comes after Table 2 is SI-SDRi."
)
HOW = (
    "SDR improvement by BSS-eval: that of the estimate minus that of the mixture. paper: as "
    "printed. ours: the mean over the test mixtures, and its 95 % bootstrap interval over them "
    f"({RESAMPLES:,} resamples).",
    "Table 1: Enrl is asked by one recording of the target's class. Table 2, Seen: asked by class, "
    "the enrollment-based model by a recording. New: the mean of the embeddings of K recordings "
    "(Eq. 8); +adapt: the row of the new class, asked by class, trained from a random vector (rnd "
    "init) or from that mean (avg init), by the model it stands under.",
    'The paper averages over "each AE sound in each mixture"; ours has one target a mixture.',
)
SI_SDR = (
    "The paper's metric, \"scale-invariant signal-to-distortion ratio (SDR) computed with the "
    'BSSEval toolkit", is that of the tables above; its numbers are not repeated here.'
)
ORDERINGS = (
    "Mixture by mixture, over the mixtures that both were asked. paper: the difference of its "
    "means, each rounded to 0.1 dB; all that it prints are above 0.",
    '"over mixtures": 95 % interval of the paired differences, both models keeping their answers '
    'to the mixtures drawn. "over classes", for new classes: the classes are drawn, then the '
    "mixtures of each.",
    'verdict, by the interval over mixtures: "holds" if all of it is above 0, "fails" if all is '
    'below, "open" if it holds 0 or is of too few mixtures. Where "over classes" holds 0 as well, '
    '"holds" is of these new classes, not of others.',
    "The bootstrap takes mixtures as independent, and they are not: the same K recordings serve "
    "every mixture of a class, and clips recur, so the interval is somewhat narrow. Neither of "
    "them has in it which K recordings were drawn, nor the seed of the training or adaptation.",
    "Where there are several runs (seeds of the training, draws of the K recordings), the "
    "difference is the mean over those that both models have, and so need not be that of the "
    'tables\' means; "runs above 0" counts those in which it is.',
    "Adaptation of another model than Mixed+EL: the paper has no number; the verdict takes the "
    "sign that it has for Mixed+EL.",
)
INTERVALS = (
    "over mixtures: the bootstrap of Table 2, for these very classes. over classes: a cluster "
    "bootstrap that draws classes, then mixtures of each, so that it asks what other new classes "
    "of this kind would give; with few classes it is a rough one, and rather too narrow. Which K "
    "recordings were drawn, and the seed of the training, are in neither."
)
BY_CLASS = "1-hot, Mixed and Mixed+EL asked by class, Enrl by a recording. mixtures: of the target."
FIGURE = (
    "Mixed+EL, adapted from the average of K=10 recordings. The paper draws bars without numbers "
    'and says of its 10 new classes: "more than 5 dB on all".'
)
RUNS = (
    "Several trainings that differ in their seed, and several draws of the K recordings of each "
    "new class: ours is the mean over all of them, mixture by mixture, and its interval is over "
    "the mixtures alone. Here are the lowest and the highest mean of one run."
)
