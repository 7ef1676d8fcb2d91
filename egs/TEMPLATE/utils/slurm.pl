#!/usr/bin/env perl
# Run a command, or an array of them, as Slurm jobs and wait for them; same command line as run.pl:
#
#     slurm.pl [options] [JOB=1:N] LOG COMMAND...
#
# conf/slurm.conf, or --config FILE, says what an option --foo-bar VALUE means for sbatch:
#     command sbatch ...              the command itself
#     option foo_bar=VALUE TEXT       TEXT is added for this value; foo_bar=* for any other, $0 in
#     option foo_bar=* TEXT           TEXT being the value; TEXT may be empty
#     default foo_bar=VALUE           as if --foo-bar VALUE were given
# An option that it does not describe is an error, except --max-jobs-run N: how many jobs of an
# array run at once.  Options with one dash (-p PARTITION) go to sbatch as they are.
# Exit status 0 if every job ended with 0, else 1; a job that Slurm ended, or that vanished from the
# queue, has failed; one that Slurm requeued is waited for.
# When this script is interrupted, terminated or even killed, its jobs are cancelled.
# In the job, SIGUSR1 to the batch shell (sbatch --signal=B:USR1@120) is forwarded to the command, and a
# command that exits with status 99 (saved, not finished; as in Grid Engine) is requeued.
use strict;
use warnings;
use Cwd qw(getcwd);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use FindBin;
use Text::ParseWords qw(shellwords);
use lib $FindBin::RealBin;
use Jobs;

my $patience = 60;    # seconds a file server may need to show what a job wrote
my $settling = 9;     # seconds to wait after Slurm reports the end of a job: it may be requeued
my $leaving = 10;     # seconds to wait for cancelled jobs
my $default_config = 'conf/slurm.conf';
my $built_in = <<'END';
command sbatch --export=ALL
option name=* --job-name $0
option time=* --time $0
option mem=* --mem-per-cpu $0
option mem=0
option num_threads=* --cpus-per-task $0
option num_nodes=* --nodes $0
option gpu=* --gres=gpu:$0
option gpu=0
END

my $ended = qr/CANCELLED|FAILED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY|BOOT_FAIL|DEADLINE|PREEMPTED/;

my $stopped_by = '';
$SIG{$_} = sub { $stopped_by = $_[0] } for qw(INT TERM HUP);
my $array = parse_arguments(@ARGV);
my ($name, $first, $last) = @$array{qw(name first last)};
my $is_array = $last > $first;
my @sbatch = sbatch_command();
my $spool = dirname($array->{log}) . '/q';
my $base = basename($array->{log});
$base =~ s/\.?\Q$name\E//g if $name;
my $sync = "$spool/done.$base.$$";
my $queue_log = "$spool/$base";

# Text of the configuration -> ({ option => { value => text } }, [[option, default] ...], command)
sub read_config {
    my $file = $array->{option}{config} // $default_config;
    my $text = $built_in;
    if (open(my $stream, '<', $file)) {
        local $/;
        $text = <$stream> // fail("cannot read $file: $!");
    } elsif (defined $array->{option}{config} or -e $file) {
        fail("cannot read $file: $!");
    }
    my (%meaning, @defaults, $command);
    my $number = 0;
    for my $line (split /\n/, $text) {
        $number++;
        $line =~ s/#.*//;
        if ($line =~ /^\s*command\s+(\S.*?)\s*$/) {
            $command = $1;
        } elsif ($line =~ /^\s*option\s+([\w-]+)=(\S+)\s*(.*?)\s*$/) {
            $meaning{ $1 =~ tr/-/_/r }{$2} = $3;
        } elsif ($line =~ /^\s*default\s+([\w-]+)=(\S+)\s*$/) {
            push @defaults, [$1 =~ tr/-/_/r, $2];
        } elsif ($line =~ /\S/) {
            fail("$file:$number: expected command, option NAME=VALUE or default NAME=VALUE,"
              . " found '$line'");
        }
    }
    fail("$file: no line 'command ...'") unless defined $command;
    return (\%meaning, \@defaults, $command, $file);
}

# The words of a text as a shell sees them; of an unmatched quote, shellwords makes no word at all.
sub words_of {
    my ($text, $file) = @_;
    my @words = shellwords($text);
    fail("$file: a quote or backslash without its mate in '$text'") if !@words and $text =~ /\S/;
    return @words;
}

sub sbatch_command {
    my ($meaning, $defaults, $command, $file) = read_config();
    my %given = %{ $array->{option} };
    delete $given{config};
    my $at_once = delete $given{max_jobs_run};
    $given{ $_->[0] } //= $_->[1] for @$defaults;
    my @words = words_of($command, $file);
    for my $option (sort keys %given) {
        my $value = $given{$option};
        my $text = $meaning->{$option}{$value} // $meaning->{$option}{'*'};
        fail("$file does not describe --$option $value") unless defined $text;
        push @words, map { s/\$0/$value/gr } words_of($text, $file);
    }
    push @words, @{ $array->{other} };
    print STDERR "slurm.pl: --max-jobs-run is for arrays, ignored\n" if $at_once and !$is_array;
    push @words, '--array', "$first-$last" . ($at_once ? "%$at_once" : '') if $is_array;
    return @words;
}

sub quoted { my ($word) = @_; $word =~ s/'/'\\''/g; return "'$word'"; }

# A path for the shell, with JOB replaced by the number of the running job.
sub in_shell {
    my ($path) = @_;
    return quoted($path) unless $name;
    my $number = $is_array ? '"${SLURM_ARRAY_TASK_ID}"' : $first;
    return join $number, map { quoted($_) } split /\Q$name\E/, $path, -1;
}
sub log_of { return log_of_job($array, $_[0]) }
sub sync_of { my ($number) = @_; return $is_array ? "$sync.$number" : $sync; }

sub write_script {
    my $script = "$spool/$base.sh";
    my $number = $is_array ? '${SLURM_ARRAY_TASK_ID}' : $first;
    my $line = shell_line($name, $number, @{ $array->{command} });
    my ($cwd, $log) = (quoted(getcwd()), in_shell($array->{log}));
    my $done = quoted($sync) . ($is_array ? '."${SLURM_ARRAY_TASK_ID}"' : '');
    my $threads = $array->{option}{num_threads} // 1;
    log_line($script, '>', <<END);
#!/usr/bin/env bash
cd $cwd || exit 1
log=$log
done=$done
stopped=
# A requeued job continues its log.
[ "\${SLURM_RESTART_COUNT:-0}" -gt 0 ] || : >"\$log"
{
    echo "# Running on \$(hostname)"
    echo "# Started at \$(date)"
    env | grep '^SLURM_' | sed -e 's/^/# /'
    cat <<'TSX_END'
# $line
TSX_END
} >>"\$log"
if [ -f ./path.sh ]; then . ./path.sh; fi
begin=\$(date +%s)
# Slurm's SIGTERM reaches the command too, which may need time to save.
trap 'stopped=true' TERM
trap 'kill -USR1 \$(cat /proc/\$pid/task/\$pid/children)' USR1
(
trap 'stopped=true' TERM
trap : USR1
[ -z "\$stopped" ] || exit 143
$line
exit \$?
) >>"\$log" 2>&1 </dev/null &
pid=\$!
wait \$pid
while kill -0 \$pid 2>/dev/null; do wait \$pid; done
wait \$pid # for its status once more, if a signal ended the wait above
status=\$?
end=\$(date +%s)
{
    echo "# Accounting: begin_time=\$begin"
    echo "# Accounting: end_time=\$end"
    echo "# Accounting: time=\$((end - begin)) threads=$threads"
    echo "# Finished at \$(date) with status \$status"
} >>"\$log"
if [ \$status -eq 99 ]; then
    # not if it was cancelled
    case \$(squeue -h -t all -j "\$SLURM_JOB_ID" -o %T) in
    RUNNING) scontrol requeue "\$SLURM_JOB_ID" >>"\$log" 2>&1 && sleep 60 ;;
    esac
fi
# killed, or up to Slurm: it may be requeued
[ \$status -ne 137 ] && { [ -z "\$stopped" ] || [ \$status -eq 0 ]; } || exit 100
echo \$status >"\$done.tmp" && mv "\$done.tmp" "\$done"
[ \$status -eq 0 ]
END
    return $script;
}

# Output of a program (both streams) and its exit status, without a shell.
sub output_of {
    my @words = @_;
    my $pid = open(my $stream, '-|') // fail("fork: $!");
    if ($pid == 0) {
        setpgrp(0, 0);    # Ctrl-C must not interrupt sbatch
        open(STDERR, '>&', \*STDOUT);
        no warnings 'exec';    # said below
        exec { $words[0] } @words or do { print "$words[0]: $!\n"; exit 127; };
    }
    local $/;
    my $text = <$stream> // '';
    close $stream;
    return ($text, $? >> 8);
}

sub submit {
    my ($script) = @_;
    # leftovers of an earlier run must not be mistaken for the end of these jobs
    unlink $queue_log, map { sync_of($_), grep { -f } log_of($_) } $first .. $last;
    my $file = $queue_log =~ s/%/%%/gr;
    my ($text, $status) = output_of(@sbatch, '--open-mode=append', '-e', $file, '-o', $file, $script);
    log_line($queue_log, '>>', $text);
    return $1 if $status == 0 and $text =~ /Submitted batch job (\d+)/;
    fail("cannot submit, @sbatch said:\n$text");
}

# What Slurm calls the jobs -> { number => [state, reason] }, or undef if it cannot be asked.
sub states {
    my ($id) = @_;
    my ($text, $code) = output_of('squeue', '-h', '-r', '-t', 'all', '-j', $id, '-o', '%i %T %r');
    return {} if $code != 0 and $text =~ /Invalid job id/i;
    return undef if $code != 0;
    my %state;
    for my $line (split /\n/, $text) {
        next unless $line =~ /^\d+(?:_(\d+))?(?: (\S+) (.*))?$/;
        $state{ $1 // $first } = [$2 // 'RUNNING', $3 // ''];
    }
    return \%state;
}

sub name_of { my ($id, $number) = @_; return $is_array ? "${id}_$number" : $id; }

sub first_line { open(my $stream, '<', $_[0]) or return undef; return scalar <$stream>; }

# Status of a job by its status file or, failing that, by the end of its log; undef if unknown.
sub status_of {
    my ($number, $by_log) = @_;
    my $line = first_line(sync_of($number));
    return $1 if defined $line and $line =~ /^(\d+)/;
    return undef unless $by_log and open(my $stream, '<', log_of($number));
    my @lines = <$stream>;
    return @lines && $lines[-1] =~ /with status (\d+)$/ ? $1 : undef;
}

sub scancel {
    for my $id (@_) {
        for my $try (1 .. 3) {
            my ($text, $code) = output_of('scancel', $id);
            last if $code == 0;
            print STDERR "slurm.pl: scancel $id failed: $text";
            select undef, undef, undef, $try;
        }
    }
}

sub cancel_and_die {
    my ($id) = @_;
    print STDERR "slurm.pl: stopped by SIG$stopped_by, cancelling job $id\n";
    scancel($id);
    my $limit = time + $leaving;    # so that nothing is written after this script ends
    while (time < $limit) {
        my $known = states($id) or last;
        last unless grep { $_->[0] =~ /^(RUNNING|COMPLETING)/ } values %$known;
        select undef, undef, undef, 0.5;
    }
    $SIG{$stopped_by} = 'DEFAULT';
    kill $stopped_by, $$;
}

# Wait for all jobs -> { number => status }, or Slurm's word for how it ended ('vanished' if there is
# none).
sub wait_for_jobs {
    my ($id) = @_;
    my (%status, %over_since, %told);
    my %waiting = map { $_ => 1 } $first .. $last;
    my ($pause, $ask_at) = (0.1, time + 2);
    while (%waiting) {
        cancel_and_die($id) if $stopped_by;
        select undef, undef, undef, $pause;
        $pause = $pause * 1.2 < 3 ? $pause * 1.2 : 3;
        my $known = time >= $ask_at ? states($id) : undef;
        if (opendir(my $kick, $spool)) { closedir $kick }    # makes a file server look again
        for my $number (sort { $a <=> $b } keys %waiting) {
            my ($state, $reason) = $known && $known->{$number} ? @{ $known->{$number} } : ('vanished', '');
            if ($known and $state =~ /^($ended|COMPLETED|vanished)/) { $over_since{$number} //= time }
            elsif ($known) { delete $over_since{$number} }
            my $over = $over_since{$number};
            my $result = status_of($number, $over);
            if ($over and $known) {
                my $limit = $over + ($state =~ /^$ended/ ? $settling : $patience);
                $result //= $state eq 'COMPLETED' ? 'vanished' : $state if time >= $limit;
            }
            if ($reason =~ /held/i and !$told{$number}++) {
                print STDERR "slurm.pl: job ", name_of($id, $number), " does not start ($reason):"
                  . " scontrol release or scancel it\n";
            }
            next unless defined $result;
            $status{$number} = $result;
            delete $_->{$number} for \%waiting, \%over_since;
        }
        $ask_at = time + (%over_since ? 2 : 15) if $known or time >= $ask_at;
    }
    return \%status;
}

make_path($spool, dirname($array->{log}), { error => \my $errors });
my $guard = start_guard(\&scancel);
my $id = submit(write_script());
print $guard "+$id\n";
my $status = wait_for_jobs($id);
print $guard "-$id\n";
unlink map { sync_of($_) } $first .. $last;
my @failed = grep { $status->{$_} ne '0' } sort { $a <=> $b } keys %$status;
if (@failed) {
    for my $number (grep { $status->{$_} =~ /\D/ } @failed) {
        my $state = $status->{$number};
        my $what = $state eq 'vanished'
          ? 'vanished from the queue: cancelled, out of time, or its node failed'
          : "was ended by Slurm: $state";
        print STDERR 'slurm.pl: job ', name_of($id, $number), " $what; see $queue_log\n";
    }
    show_failure($array, scalar @failed, log_of($failed[0]));
    exit 1;
}
