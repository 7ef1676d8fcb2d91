package Jobs;

# What run.pl and slurm.pl share: Kaldi's command line, its quoting and its messages.
use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(basename);
use IO::Handle;
use POSIX qw(setpgid _exit);

our @EXPORT = qw(fail log_line log_of_job now parse_arguments shell_line show_failure start_guard);

my $program = basename($0);

sub fail { print STDERR "$program: @_\n"; exit 1; }

sub now { my $date = `date`; chomp $date; return $date; }

sub log_line {
    my ($log, $mode, $text) = @_;
    open(my $stream, $mode, $log) or fail("cannot write $log: $!");
    print $stream $text;
    close($stream) or fail("cannot write $log: $!");
}

sub log_of_job {
    my ($job, $number) = @_;
    return $job->{name} ? $job->{log} =~ s/\Q$job->{name}\E/$number/gr : $job->{log};
}

# [options] [JOB=1:N] [options] LOG COMMAND... -> { option, other, name, first, last, log, command }
# `option` holds --foo-bar VALUE as foo_bar, `other` the -x VALUE of the queue, as they came.
sub parse_arguments {
    my @words = @_;
    my $job = { option => {}, other => [], name => '', first => 1, last => 1 };
    while (@words) {
        if ($words[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?$/) {
            fail("two job ranges, $job->{name} and $1") if $job->{name};
            @$job{qw(name first last)} = ($1, $2, $3 // $2);
            fail("bad job range $words[0]: expected NAME=FIRST:LAST with 1 <= FIRST <= LAST")
              if $job->{first} < 1 or $job->{first} > $job->{last};
            shift @words;
        } elsif ($words[0] =~ /^-/) {
            parse_option($job, \@words);
        } else {
            last;
        }
    }
    fail("usage: $program [options] [JOB=1:N] LOG COMMAND...") if @words < 2;
    @$job{qw(log command)} = (shift @words, [@words]);
    fail("the log of an array must contain $job->{name}, found $job->{log}")
      if $job->{last} > $job->{first} and $job->{log} !~ /\Q$job->{name}\E/;
    return $job;
}

sub parse_option {
    my ($job, $words) = @_;
    my $word = shift @$words;
    return if $word eq '-V';
    fail("option $word needs a value and a command after it") if @$words < 2;
    my $value = shift @$words;
    $value .= ' ' . shift @$words if $word eq '-pe' and @$words;    # -pe smp 4
    $word = '--max-jobs-run' if $word eq '-tc';
    if ($word !~ /^--(.+)$/) {
        push @{ $job->{other} }, $word, $value unless $word =~ /^-(pe|sync)$/;
        return;
    }
    (my $key = $1) =~ tr/-/_/;
    fail("option $word: expected a whole number, found '$value'")
      if $key =~ /^(gpu|max_jobs_run)$/ and $value !~ /^\d+$/;
    my $old = $job->{option}{$key};
    $value = $old if $key eq 'max_jobs_run' and $old and $old < $value;
    $job->{option}{$key} = $value;
}

# One line for bash from the words of a command, with NAME (JOB) replaced by a number or a variable.
# A word without white space stays as it is (so \| works), others are quoted.
sub shell_line {
    my ($name, $number, @words) = @_;
    for my $word (@words) {
        if ($word =~ /\s/ and $word =~ /"/) {
            $word =~ s/'/'\\''/g;
            $word =~ s/\Q$name\E/'"$number"'/g if $name;
            $word = "'$word'";
        } else {
            $word =~ s/\Q$name\E/$number/g if $name;
            $word = "\"$word\"" unless $word =~ /^\S+$/;
        }
    }
    return join ' ', @words;
}

# A process that outlives SIGKILL of this one, just long enough to end the jobs: `end` is called with
# those that were written to the guard as +NUMBER, and not as -NUMBER.
sub start_guard {
    my ($end) = @_;
    pipe(my $reader, my $writer) or fail("pipe: $!");
    defined(my $pid = fork) or fail("fork: $!");
    if ($pid == 0) {
        setpgid(0, 0);
        $SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        close $writer;
        my %running;
        while (my $line = <$reader>) {
            $line =~ /^\+(\d+)/ ? $running{$1} = 1 : $line =~ /^-(\d+)/ ? delete $running{$1} : 0;
        }
        $end->(keys %running);
        _exit(0);
    }
    close $reader;
    $writer->autoflush(1);
    return $writer;
}

# Say that jobs failed, and show how the log of the first one ends.
sub show_failure {
    my ($job, $failed, $log) = @_;
    my $total = $job->{last} - $job->{first} + 1;
    my $pattern = log_of_job($job, '*');
    print STDERR "$program: ",
      $total == 1 ? "job failed, log is in $log\n" : "$failed / $total failed, log is in $pattern\n";
    open(my $stream, '<', $log) or return;
    my @lines = grep { !/^#/ and /\S/ } <$stream>;
    splice @lines, 0, @lines - 10 if @lines > 10;
    print STDERR "$program: the end of $log:\n" if $total > 1;
    print STDERR map { s/.*\r(?=.)//r } @lines;
}

1;
