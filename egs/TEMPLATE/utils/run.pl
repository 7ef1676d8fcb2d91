#!/usr/bin/env perl
# Run a command, or an array of them, on this machine, with the command line and the log format
# of Kaldi's script of this name:
#
#     run.pl [options] [JOB=1:N] LOG COMMAND...       e.g.  run.pl JOB=1:4 log/x.JOB.log echo JOB
#
# Every JOB in LOG and COMMAND becomes the number of the job.  A word with white space is quoted
# for the shell, any other reaches it as it is (so \| and \> work).  Known options:
#     --max-jobs-run N, -tc N   how many run at once (default: all CPU cores, or GPUs / --gpu)
#     --gpu N                   GPUs of a job; jobs of an array get their own CUDA_VISIBLE_DEVICES
# Other options (--mem, --time, --name, --num-threads, --config ...) take one value, unused here.
# Exit status 0 if every job ended with 0, else 1.  When this script is interrupted, terminated or
# even killed, so are the jobs, with all their children.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use lib $FindBin::RealBin;
use Jobs;
use POSIX qw(WNOHANG setpgid _exit);

my $grace = 10;   # seconds between SIGTERM and SIGKILL
my ($starting, $stopped_by) = (0, '');
my $array = parse_arguments(@ARGV);
my ($name, $first, $last) = @$array{qw(name first last)};
my %option = %{ $array->{option} };
my @gpus = $option{gpu} ? visible_gpus() : ();
my %job_of;    # by its process id

sub visible_gpus {
    return grep { /\S/ } split /,/, $ENV{CUDA_VISIBLE_DEVICES} if defined $ENV{CUDA_VISIBLE_DEVICES};
    return map { /^GPU (\d+):/ ? $1 : () } `nvidia-smi -L 2>/dev/null`;
}

sub concurrency {
    return $option{max_jobs_run} if $option{max_jobs_run};
    my $jobs = $last - $first + 1;
    if ($option{gpu}) {
        my $sets = int(@gpus / $option{gpu});
        return $sets > 0 ? $sets : 1;
    }
    chomp(my $cores = `getconf _NPROCESSORS_ONLN 2>/dev/null` || 1);
    return $jobs < 1.4 * $cores ? $jobs : $cores;
}

# The devices of the slot a job runs in, or undef to leave the variable alone.
sub devices_of_slot {
    my ($slot) = @_;
    return undef unless $option{gpu} and $last > $first and @gpus >= $option{gpu};
    my $set = $slot % int(@gpus / $option{gpu});
    return join ',', @gpus[$set * $option{gpu} .. ($set + 1) * $option{gpu} - 1];
}

sub end_groups {
    my @groups = @_ or return;
    kill 'TERM', map { -$_ } @groups;
    for (1 .. 20 * $grace) {
        1 while waitpid(-1, WNOHANG) > 0;
        return unless grep { kill 0, -$_ } @groups;
        select undef, undef, undef, 0.05;
    }
    kill 'KILL', map { -$_ } @groups;
}

sub stop_all {
    $SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
    print STDERR "run.pl: stopped by SIG$stopped_by\n";
    end_groups(keys %job_of);
    $SIG{$stopped_by} = 'DEFAULT';
    kill $stopped_by, $$;
}

sub start_job {
    my ($number, $slot, $guard) = @_;
    my $log = log_of_job($array, $number);
    make_path(dirname($log), { error => \my $errors });
    my $line = shell_line($name, $number, @{ $array->{command} });
    log_line($log, '>', "# $line\n# Started at " . now() . "\n#\n");
    $starting = 1;
    defined(my $pid = fork) or fail("fork: $!");
    if ($pid == 0) {
        setpgid(0, 0);
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        my $devices = devices_of_slot($slot);
        $ENV{CUDA_VISIBLE_DEVICES} = $devices if defined $devices;
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>>', $log) or _exit(126);
        open(STDERR, '>&', \*STDOUT) or _exit(126);
        exec 'bash', '-c', $line or do { print STDERR "cannot run bash: $!\n"; _exit(126); };
    }
    setpgid($pid, $pid);
    print $guard "+$pid\n";
    $job_of{$pid} = { log => $log, started => time, slot => $slot };
    $starting = 0;
    stop_all() if $stopped_by;
}

# Wait for one job; write the end of its log; return the job.
sub finish_job {
    my ($guard) = @_;
    my $pid = waitpid(-1, 0);
    return undef unless $job_of{$pid};
    my ($code, $signal) = ($? >> 8, $? & 127);
    print $guard "-$pid\n";
    my $job = delete $job_of{$pid};
    my $seconds = time - $job->{started};
    my $how = "code $code" . ($signal ? "; signal $signal" : '');
    log_line($job->{log}, '>>', "# Accounting: time=$seconds threads=1\n# Ended ($how) at "
      . now() . ", elapsed time $seconds seconds\n");
    $job->{failed} = $code || $signal;
    return $job;
}

my $guard = start_guard(\&end_groups);
$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { $stopped_by = $_[0]; stop_all() unless $starting; } for qw(INT TERM HUP);

my ($next, $failed, $failed_log) = ($first, 0, '');
my @slots = (0 .. concurrency() - 1);
while ($next <= $last or %job_of) {
    if ($next <= $last and @slots) {
        start_job($next++, shift @slots, $guard);
    } elsif (my $job = finish_job($guard)) {
        push @slots, $job->{slot};
        ($failed, $failed_log) = ($failed + 1, $failed_log || $job->{log}) if $job->{failed};
    }
}
if ($failed) {
    show_failure($array, $failed, $failed_log);
    exit 1;
}
